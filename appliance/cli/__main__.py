"""`python -m appliance.cli`, for environments where the `appliance` script is not on PATH."""

from appliance.cli import main

main()
