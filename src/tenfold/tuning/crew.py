"""Processes that train the trials of a study: started, spoken to, ended."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

Inbox = queue.SimpleQueue[tuple["Worker", dict[str, Any] | None]]
"""What workers say, with who said it; None where a process has ended."""


class Worker:
    """A process that trains one trial after the other; see `tuning.worker` for what is said.

    A process of its own, so that trials run side by side, and one that dies for want of memory takes no
    other with it. It stays for the whole study, as Keras and the data take seconds to load. It ends by
    itself when this process does, however that happens.

    Args:
        inbox: takes what it says.
        backend: of Keras.
        threads: to compute with, unless OMP_NUM_THREADS says otherwise.
        log: file that its warnings and tracebacks are added to.
    """

    def __init__(self, inbox: Inbox, backend: str, threads: int, log: Path):
        shares = {"OMP_NUM_THREADS": str(threads), "TF_NUM_INTRAOP_THREADS": str(threads)}
        environment = {**shares, "TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": backend}
        with open(log, "ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tenfold.tuning.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                encoding="utf-8",
                env=environment,
                start_new_session=True,  # Ctrl-C is for the study, which ends its workers then
            )
        self._inbox = inbox
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    def say(self, **message: Any) -> None:
        """Sends an order, or the answer to a question."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended; the inbox will tell
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()

    def end(self) -> str:
        """Ends the process at once, if it has not ended yet, and says in words how it ended."""
        self._process.kill()
        code = self._process.wait()
        self._ear.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if code >= 0:
            return f"exit code {code}"
        return f"signal {-code} ({signal.Signals(-code).name})"

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            with contextlib.suppress(json.JSONDecodeError):  # a line that the end of the process cut short
                self._inbox.put((self, json.loads(line)))
        self._process.wait()
        self._inbox.put((self, None))
