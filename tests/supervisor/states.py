"""A state of a running box, for tests to vary."""

from appliance.supervisor.state import Phase, UpState
from appliance.supervisor.supervisor import own_identity

PID, STARTED = own_identity()
STATE = UpState(
    phase=Phase.SERVING,
    pid=PID,
    pid_started=STARTED,
    model="tiny",
    target="cpu",
    preset="balanced",
    artefact="/exports/tiny/cpu-balanced",
    artefact_sha256="ab" * 32,
    http="127.0.0.1:1",
    grpc="127.0.0.1:1",
    metrics="127.0.0.1:1",
)
