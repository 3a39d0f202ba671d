"""The engine's public interface: thread-safe submission and cancellation; one thread runs the core's steps.

A fault that the core cannot handle ends the engine: every live request gets the error, and new requests are rejected.
So no client waits for an answer that never comes.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from appliance.artefact import Manifest
from appliance.artefact.folder import check_files, read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import TOKENIZER
from appliance.artefact.watch import FileWatch
from appliance.engine.admission import check_request
from appliance.engine.budget import context_tokens, scheduler_limits
from appliance.engine.constraint import ConstraintSource
from appliance.engine.core import EngineCore
from appliance.engine.grammar_client import GrammarHost
from appliance.engine.inbox import Inbox
from appliance.engine.request import Request
from appliance.engine.runner import Runner
from appliance.engine.runners import open_runner, packed_graph
from appliance.engine.scheduler import Scheduler
from appliance.engine.sequence import Sequence
from appliance.engine.stats import EngineStats
from appliance.engine.stream import Sink, Stream
from appliance.engine.tokenizer import Tokenizer
from appliance.errors import ApplianceError, EngineError, UnavailableError
from appliance.heap import give_back_free_memory
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishReason

STUCK_STEP_S = 30.0
_log = logging.getLogger(__name__)


class Engine:
    """Runs one artefact.

    Attributes:
        manifest: manifest of the artefact.
        tokenizer: see Tokenizer.
        max_context_tokens: maximum tokens of prompt plus completion.
    """

    def __init__(
        self,
        manifest: Manifest,
        tokenizer: Tokenizer,
        grammars: ConstraintSource,
        runner: Runner,
        config: EngineConfig,
        allowance: Callable[[], int] | None = None,
        watch: FileWatch | None = None,
    ) -> None:
        """Start the engine's thread. The runner has the number of slots in `scheduler_limits`; see `load`."""
        self.manifest = manifest
        self.tokenizer = tokenizer
        self._grammars = grammars
        self._watch = watch
        self._can_score = runner.scorer is not None
        self.max_context_tokens = context_tokens(manifest, config)
        self._config = config
        # The thread and its callback hold the inbox and the core but not this object, so that deleting a closed engine
        # frees the model's memory immediately.
        self._inbox = Inbox(config.slots + config.max_queue)
        self._core = EngineCore(
            runner,
            Scheduler(scheduler_limits(manifest.shape, config), share_completions=runner.exact is not None),
            tokens=manifest.shape.tokens,
            clock=time.monotonic,
            on_finish=self._inbox.forget,
            allowance=allowance,
            speculation=config.speculation,
        )
        self._orders = itertools.count()
        self._thread = threading.Thread(target=_run, args=(self._core, self._inbox), name="engine", daemon=True)
        self._thread.start()

    @classmethod
    def load(cls, artefact: Path, config: EngineConfig, allowance: Callable[[], int] | None = None) -> Engine:
        """Verify an artefact, load its graph, and start.

        Args:
            artefact: the artefact's folder.
            config: see EngineConfig.
            allowance: returns, without blocking, how many sequences may run now; None allows all slots.

        Raises:
            UnknownModelError: the folder holds no artefact.
            IntegrityError, UnsafeFormatError, UnsupportedError: see `check_graph` and `PackedGraph`.
            UsageError: the configuration does not fit the model.
            MissingProgramError: the runtime for the graph is not installed on this box.
            NoSpaceError: no address space for the cache, or not enough memory on the device.
            EngineError: the runtime rejects the graph.
        """
        manifest = read_manifest(artefact)
        capacity = context_tokens(manifest, config)
        slots = scheduler_limits(manifest.shape, config).slots
        packed = packed_graph(manifest, config)
        # With a packed graph, the engine does not read the artefact's graph.
        unread = manifest.graph_digests().keys() if packed else frozenset[str]()
        read = {artefact: [entry for entry in manifest.files if entry.name not in unread]}
        watch = FileWatch(read | ({packed.folder: packed.files} if packed else {}))
        if packed:
            check_files(artefact, manifest, unread)
        else:
            check_graph(artefact, manifest)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer") as pool:
            loading = pool.submit(Tokenizer.load, artefact / TOKENIZER)
            runner = open_runner(artefact, manifest, slots=slots, capacity=capacity, config=config, packed=packed)
            tokenizer = loading.result()
        grammars = GrammarHost(artefact / TOKENIZER, manifest.shape.tokens, manifest.generation.eos_token_ids)
        give_back_free_memory()
        engine = cls(manifest, tokenizer, grammars, runner, config, allowance, watch)
        watch.start()
        return engine

    def submit(self, request: Request, sink: Sink) -> None:
        """Queue a request. Thread-safe. Its grammar is compiled later: an error of the grammar arrives as an event.

        Args:
            request: see Request.
            sink: called on the engine's thread with each event; it must not block. The last event is a FinishEvent,
                and there is exactly one FinishEvent.

        Raises:
            RequestError, PromptTooLongError: see `check_request`.
            RequestError, OverloadedError, UnavailableError: see `Inbox.put`.
        """
        shape = self.manifest.shape
        max_tokens = check_request(
            request,
            tokens=shape.tokens,
            max_context_tokens=self.max_context_tokens,
            can_score=self._can_score,
        )
        sequence = Sequence(request, order=next(self._orders), max_tokens=max_tokens, now=time.monotonic())
        wanted = request.sampling.structured_outputs
        matcher = None if wanted is None else self._grammars.matcher(wanted)
        stream = Stream(sequence, sink, self.tokenizer, self.manifest.generation.eos_token_ids, matcher)
        self._inbox.put(stream)

    def cancel(self, request_id: str) -> None:
        """End a request before the next step. Thread-safe. An unknown or ended request is ignored."""
        self._inbox.cancel(request_id)

    def stats(self) -> EngineStats:
        """A snapshot of the engine's state and counters. Thread-safe."""
        scheduler, counters = self._core.scheduler, self._core.counters
        return EngineStats(
            accepts_requests=self._inbox.is_open,
            slots=self._config.slots,
            slots_busy=len(scheduler.running),
            queue_length=self._core.queue_length + len(self._inbox),
            cache_tokens_used=scheduler.slots.used_rows,
            cache_tokens_total=scheduler.limits.budget_rows,
            max_context_tokens=self.max_context_tokens,
            prompt_tokens_total=counters.prompt_tokens,
            completion_tokens_total=counters.completion_tokens,
            cached_tokens_total=counters.cached_tokens,
            steps_total=counters.steps,
            draft_tokens_total=counters.draft_tokens,
            accepted_draft_tokens_total=counters.accepted_draft_tokens,
            preemptions_total=scheduler.preemptions,
            requests_total={reason: counters.finished[reason] for reason in FinishReason},
            tokens_per_second=counters.tokens_per_second(time.monotonic()),
            files_changed=len(self._watch.changed) if self._watch else 0,
            rss_bytes=psutil.Process().memory_info().rss,
        )

    def close(self, drain_s: float = 0.0) -> None:
        """Reject new requests, let live requests continue for `drain_s` seconds, end the rest with an error."""
        if self._watch:
            self._watch.close()
        refusal = UnavailableError("the engine is shutting down", hint="try again later")
        self._inbox.close(refusal, time.monotonic() + drain_s)
        self._thread.join(drain_s + STUCK_STEP_S)
        self._grammars.close()


def _run(core: EngineCore, inbox: Inbox) -> None:
    """The engine's thread: run steps until the engine closes or cannot continue, then end all live requests."""
    error: ApplianceError
    try:
        while _take_mail(core, inbox):
            core.step()
        error = UnavailableError("the engine was shut down before the request finished", hint="try again later")
    except EngineError as fault:
        _log.critical("the engine ends: %s", fault)
        error = fault
    except Exception as fault:  # noqa: BLE001 - the thread's outermost handler: every request must get an end
        _log.critical("the engine ends", exc_info=True)
        error = EngineError(f"the engine failed: {fault!r}", hint="see the log; restart the model")
    inbox.close(UnavailableError(f"the engine has stopped: {error.message}", hint="restart the model"))
    for stream in inbox.collect(wait=False).streams:
        core.add(stream)
    core.end_all(error)


def _take_mail(core: EngineCore, inbox: Inbox) -> bool:
    """Handle new requests and cancellations; wait if no request is live. Return False if the engine is to stop."""
    mail = inbox.collect(wait=core.is_idle)
    for stream in mail.streams:
        core.add(stream)
    core.sweep(mail.cancelled)
    return mail.drain_until is None or (not core.is_idle and time.monotonic() < mail.drain_until)
