"""Requests to end, sent to processes of their own: pytest's has its own way with signals."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


def printed(program, *words):
    """What a program prints that starts with the handlers of one in the foreground."""
    begin = "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-c", begin + textwrap.dedent(program), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_request_whose_exception_is_lost_still_ends_training(number, code, tmp_path):
    program = """
        from tenfold import training
        from tenfold.config import Config
        from tenfold.errors import Stopped
        import keras

        number = int(sys.argv[1])

        class Swallowing(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                print("epoch", epoch)
                if epoch == 1:
                    try:
                        os.kill(os.getpid(), number)
                    except BaseException as error:  # as a finalizer does
                        print("lost", type(error).__name__)

        settings = Config(data="digits", model="tiny", epochs=3, batch_size=256, precision="float32")
        before = signal.getsignal(number)
        try:
            training.train(settings, runs=sys.argv[2], extra_callbacks=[Swallowing()])
        except Stopped as stopped:
            print(stopped.exit_code, "The model of epoch 1 is kept" in str(stopped))
        print("put back", signal.getsignal(number) is before)
        """
    lost = "KeyboardInterrupt" if number == signal.SIGINT else "SystemExit"
    expected = ["epoch 0", "epoch 1", f"lost {lost}", f"{code} True", "put back True"]
    assert printed(program, int(number), tmp_path) == expected


def test_a_handler_of_the_callers_own_is_left_in_place():
    program = """
        from tenfold.interruption import Interruption

        def mine(number, frame): ...

        signal.signal(signal.SIGTERM, mine)
        with Interruption():
            print(signal.getsignal(signal.SIGTERM) is mine)
            print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        """
    assert printed(program) == ["True", "False", "True"]


def test_what_the_shell_told_to_ignore_is_ignored():
    program = """
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for a job in the background
        from tenfold.interruption import Interruption

        with Interruption():
            os.kill(os.getpid(), signal.SIGINT)
        print("went on")
        """
    assert printed(program) == ["went on"]


def test_outside_the_main_thread_it_leaves_signals_alone():
    program = """
        import threading
        from tenfold.interruption import Interruption

        def work():
            with Interruption():
                print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """
    assert printed(program) == ["True"]
