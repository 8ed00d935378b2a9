import os
import signal
import subprocess
import sys

import keras
import pytest

from quick import QUICK
from tenfold import training
from tenfold.errors import Stopped
from tenfold.interruption import Interruption

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


class Swallowing(keras.callbacks.Callback):
    """Asks the program to end where the exception of the signal's handler is lost, as in a finalizer."""

    def __init__(self, number):
        super().__init__()
        self.number, self.asked, self.epochs = number, False, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs += 1
        if epoch == 1:
            try:
                os.kill(os.getpid(), self.number)
            except BaseException:
                self.asked = True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_request_whose_exception_is_lost_still_ends_training(number, code, tmp_path):
    swallowing = Swallowing(number)
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped:
        training.train(QUICK, runs=tmp_path, extra_callbacks=[swallowing])
    assert stopped.value.exit_code == code
    assert "The model of epoch 1 is kept" in str(stopped.value)
    assert swallowing.asked
    assert swallowing.epochs == 2
    assert signal.getsignal(number) is before


def test_a_handler_of_the_callers_own_is_left_in_place():
    mine = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        held = signal.getsignal(signal.SIGTERM)
        with Interruption():
            assert signal.getsignal(signal.SIGTERM) is held
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, mine)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_the_shell_told_to_ignore_is_ignored():
    program = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"  # as a shell does for a job in the background
        "from tenfold.interruption import Interruption\n"
        "with Interruption():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "print('went on')\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "went on\n"
