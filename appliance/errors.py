"""All failures that the appliance reports, grouped by who must act. HTTP and gRPC codes are mapped elsewhere.

ApplianceError
├── OperatorError            the operator can mend it
│   ├── UsageError           wrong option, argument or configuration key                    exit 2
│   ├── UnknownModelError    no such model, artefact, target or preset                      exit 3
│   ├── NoSpaceError         disk or memory too small for the work                          exit 4
│   ├── MissingProgramError  Triton (or a library) is not installed, or too old             exit 5
│   ├── PortTakenError       an address is in use                                           exit 6
│   └── NotPermittedError    this user may not read or write a file of the box              exit 14
├── SourceError              a source of model weights is unreachable or incomplete         exit 7
├── IntegrityError           bytes differ from the expected ones; treat it as an attack     exit 8
│   └── UnsafeFormatError    a format that can run code or read files (pickle, external data)
├── UnsupportedError         the checkpoint or graph has an unsupported feature             exit 9
├── QualityError             an export missed its preset's tolerance                        exit 10
├── RequestError             a client's request is invalid or not supported                 exit 11
│   ├── PromptTooLongError   prompt and completion exceed the context
│   └── OverloadedError      the box is at a limit; try again later
└── EngineError              the engine, Triton or the gateway failed                       exit 12
    ├── DeviceLostError      the GPU failed; only a new process can use it again
    ├── UnavailableError     a part is not running or not yet ready                         exit 13
    ├── DeadlineError        the request's deadline passed
    └── ForcedEndError       a process did not stop in time and was killed                  exit 15
"""

from __future__ import annotations


class ApplianceError(Exception):
    """Base of all reported failures.

    Attributes:
        message: what is wrong, one line.
        hint: what to do about it, one line; may be empty.
        exit_code: the process exit status that the command line uses.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


def with_exit_code(status: int) -> type[ApplianceError] | None:
    """The most general error with this exit status of the command line; None if no error has it."""
    waiting = list(ApplianceError.__subclasses__())
    while waiting:
        kind = waiting.pop(0)
        if kind.exit_code == status:
            return kind
        waiting += kind.__subclasses__()
    return None


class OperatorError(ApplianceError):
    """The operator can mend this."""


class UsageError(OperatorError):
    """Wrong option, argument or configuration key."""

    exit_code = 2


class UnknownModelError(OperatorError):
    """No model, artefact, target or preset has this name."""

    exit_code = 3


class NoSpaceError(OperatorError):
    """Not enough disk or memory for the work."""

    exit_code = 4


class MissingProgramError(OperatorError):
    """A required program or library is missing or has an unsuitable version."""

    exit_code = 5


class PortTakenError(OperatorError):
    """Another process already listens on the address."""

    exit_code = 6


class NotPermittedError(OperatorError):
    """This user has no permission to read or write a file of the box."""

    exit_code = 14


class SourceError(ApplianceError):
    """A source of model weights is unreachable or incomplete."""

    exit_code = 7


class IntegrityError(ApplianceError):
    """A file does not match its digest, size or manifest."""

    exit_code = 8


class UnsafeFormatError(IntegrityError):
    """A file has a format that can execute code or read other files."""


class UnsupportedError(ApplianceError):
    """A checkpoint or graph contains a feature that this version does not support."""

    exit_code = 9


class QualityError(ApplianceError):
    """The quality of an export is outside the tolerance of its preset."""

    exit_code = 10


class RequestError(ApplianceError):
    """A client's request is invalid or not supported.

    Attributes:
        param: the request field at fault, or an empty string.
    """

    exit_code = 11

    def __init__(self, message: str, *, hint: str = "", param: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


class PromptTooLongError(RequestError):
    """The prompt, or the prompt plus the requested completion, exceeds the context window or a limit."""


class OverloadedError(RequestError):
    """The box is at a limit; try again later."""


class EngineError(ApplianceError):
    """The engine, Triton or the gateway failed."""

    exit_code = 12


class DeviceLostError(EngineError):
    """A GPU failed, and the process cannot use it again until it restarts."""


class UnavailableError(EngineError):
    """A part of the appliance is not running or not ready."""

    exit_code = 13


class DeadlineError(EngineError):
    """The request's deadline passed before it finished."""


class ForcedEndError(EngineError):
    """A process of the box did not stop in time and was killed."""

    exit_code = 15
