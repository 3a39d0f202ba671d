"""The permanent red team: attacks on a real box beside a bystander who must not notice. `make redteam` runs it."""
