"""What the routes share: time, threads, and one reload at a time."""

import time

from tenfold.images import encode_png

TOKEN = {"authorization": "Bearer t"}


def test_a_slow_body_gets_408_and_a_slow_answer_504(serve, run, pictures):
    server = serve(run.path, "--timeout", "1", "--wait", "5000")
    start = time.monotonic()
    length = b"content-length: 100\r\n\r\n"
    answer = server.raw(b"POST /predict HTTP/1.1\r\nhost: a\r\n" + length + b"x", wait=8)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too_slow" in answer
    assert time.monotonic() - start < 4
    late = server.ask("POST", "/predict", pictures[0])  # an idle model waits five seconds for company
    assert (late.code, late.json["error"]["code"]) == (504, "timeout")
    assert "Allowed: 1 s." in late.json["error"]["message"]


def test_large_pictures_are_decoded_beside_small_ones(server, pictures):
    import concurrent.futures

    import numpy as np

    large = encode_png(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(server.ask, "POST", "/predict", large) for _ in range(3)]
        quick = [server.ask("POST", "/predict", picture).code for picture in pictures]
        assert [one.result().code for one in slow] == [200] * 3
    assert quick == [200] * 20


def test_reloading_needs_the_token_and_tells_what_it_did(serve, run, tmp_path):
    server = serve(run.path, "--token", "t")
    assert server.ask("POST", "/admin/reload").code == 401
    found = server.ask("POST", "/admin/reload", **TOKEN)
    assert (found.code, found.json) == (200, {"replaced": [], "kept": ["digits"]})
