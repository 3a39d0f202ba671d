"""A state of a running box, for tests to vary."""

from appliance.running_process import RunningProcess
from appliance.supervisor.state import Phase, UpState

STATE = UpState(
    phase=Phase.SERVING,
    supervisor=RunningProcess.own(),
    model="tiny",
    target="cpu",
    preset="balanced",
    artefact="/exports/tiny/cpu-balanced",
    artefact_sha256="ab" * 32,
    http="127.0.0.1:1",
    grpc="127.0.0.1:1",
    metrics="127.0.0.1:1",
)
