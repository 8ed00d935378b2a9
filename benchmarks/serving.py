"""The server under load, under attack and under an update, beside the same model in a plain Flask route.

    apt-get install wrk && pip install flask schemathesis
    python benchmarks/serving.py runs/sureness/fast-0    # a quarter of an hour; writes its part of results.md

Speed: wrk, a program of its own in C, posts single PNG pictures of the validation split over 64 keep-alive
connections; the contestants take turns, each in a fresh process. Flask's route does what most people write:
Pillow, NumPy, `Model.predict`. Attack: 10,000 hostile uploads from a process of its own, good requests beside
them. Update: the run gets another calibration several times while wrk goes on. The run itself is left as it
was: all happens in a copy.
"""

import argparse
import contextlib
import http.client
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BARS = {
    "requests/s": 700,
    "p99": 150,
    "aim requests/s": 1500,
    "aim p99": 80,
    "Flask": 5,
    "ready": 3,
    "MB": 300,
}
CONNECTIONS = (1, 16, 64)
OURS = "tenfold serve"
FLASKS = {"Flask, Keras on torch": "torch", "Flask, Keras on TensorFlow": "tensorflow"}
PICTURES = 32  # different ones, in turn

WRK = """
local bodies = {}
for _, name in ipairs(FILES) do
  local file = io.open(name, "rb")
  bodies[#bodies + 1] = file:read("*all")
  file:close()
end
local requests, turn = {}, 0
init = function()
  for _, body in ipairs(bodies) do
    requests[#requests + 1] = wrk.format("POST", "/predict", {["content-type"] = "image/png"}, body)
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
done = function(summary, latency)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d %d %f %f\\n", summary.requests, summary.duration, lost,
    latency:percentile(50), latency:percentile(99)))
end
"""

FLASK = """
import io, json, os, sys
import keras, numpy as np
from flask import Flask, request
from PIL import Image
from werkzeug.serving import WSGIRequestHandler
WSGIRequestHandler.protocol_version = "HTTP/1.1"  # keeps connections open, which it does not by itself
import logging
logging.getLogger("werkzeug").setLevel(logging.ERROR)
model = keras.models.load_model(sys.argv[1])
names = json.load(open(os.path.join(os.path.dirname(sys.argv[1]), "data.json")))["class_names"]
side = model.input_shape[1]
app = Flask("plain")
@app.post("/predict")
def predict():
    picture = Image.open(io.BytesIO(request.data)).convert("RGB").resize((side, side))
    outputs = model.predict(np.asarray(picture)[None], verbose=0)[0]
    return {"label": names[int(outputs.argmax())], "scores": outputs.tolist()}
@app.get("/health/ready")
def ready():
    return {}
model.predict(np.zeros((1, side, side, 3), np.uint8), verbose=0)
app.run("127.0.0.1", int(sys.argv[2]), threaded=True)
"""


@dataclass(frozen=True)
class Load:
    """What wrk measured: requests a second, milliseconds, and requests without a good answer."""

    speed: float
    p50: float
    p99: float
    requests: int
    lost: int


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--seconds", type=int, default=10, help="of load each time")
    parser.add_argument("--hostile", type=int, default=10_000, help="hostile uploads")
    parser.add_argument("--parts", nargs="+", default=["speed", "hostile", "update", "schema"])
    parser.add_argument("--smoke", action="store_true", help="print only")
    parser.add_argument("--attack", type=int, help="a port: make the uploads there and print what came back")
    options = parser.parse_args()
    if options.attack:
        print(json.dumps(attack(options.attack, options.hostile)))
        return 0
    if "speed" in options.parts and shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed. Install it with: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        shutil.copytree(options.run, run, ignore=shutil.ignore_patterns("state", "plots", "explanations"))
        script = prepare(run, Path(folder))
        parts = {
            "speed": lambda: speed(run, script, options.rounds, options.seconds),
            "hostile": lambda: hostile(run, options.hostile),
            "update": lambda: update(Path(shutil.copytree(run, Path(folder) / "updated")), script),
            "schema": lambda: schema(run),
        }
        text = "\n\n".join(parts[name]() for name in options.parts)
    if options.smoke:
        print(text)
        return 0
    import results

    results.write("serving", text, ("tenfold", "keras", "torch", "tensorflow-cpu", "python"))
    return 0


def prepare(run: Path, folder: Path) -> Path:
    """Exports and measures beforehand, and writes pictures and wrk's program. Returns its path."""
    code = "import sys; from tenfold.prediction import Predictor; print(Predictor(sys.argv[1]).reason)"
    print(started([sys.executable, "-c", code, str(run)]).strip(), flush=True)
    from tenfold import images, runs

    kept, _ = runs.open_run(run).gallery("validation")
    names = []
    for number, picture in enumerate(kept[-PICTURES:]):
        path = folder / f"{number}.png"
        path.write_bytes(images.encode_png(picture))
        names.append(json.dumps(str(path)))
    script = folder / "post.lua"
    script.write_text(f"FILES = {{{', '.join(names)}}}\n{WRK}")
    return script


@contextlib.contextmanager
def serving(
    words: list[str], port: int, log: Path | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen, float]]:
    """A server, and the seconds until it was ready."""
    begin = time.perf_counter()
    with open(log or os.devnull, "wb") as said:
        process = subprocess.Popen(
            words, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=said
        )
    try:
        while True:
            with contextlib.suppress(OSError):
                to = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                to.request("GET", "/health/ready")
                if to.getresponse().status == 200:
                    break
            if process.poll() is not None or time.perf_counter() - begin > 120:
                raise SystemExit(f"{' '.join(words)} did not start")
            time.sleep(0.02)
        yield process, time.perf_counter() - begin
    finally:
        process.terminate()
        process.wait(30)


def ours(run: Path, port: int, *more: str) -> list[str]:
    words = [sys.executable, "-m", "tenfold", "serve", str(run), "--port", str(port)]
    return [*words, *more]


def load(script: Path, port: int, connections: int, seconds: int) -> Load:
    """Runs wrk."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script)]
    said = started([*words, f"http://127.0.0.1:{port}"])
    requests, micros, lost, p50, p99 = re.search(r"RESULT (\d+) (\d+) (\d+) (\S+) (\S+)", said).groups()
    return Load(
        int(requests) / int(micros) * 1e6, float(p50) / 1e3, float(p99) / 1e3, int(requests), int(lost)
    )


def speed(run: Path, script: Path, rounds: int, seconds: int) -> str:
    """Ours at several numbers of connections, and both Flasks at the highest, in turn."""
    found: dict[tuple[str, int], list[Load]] = {}
    ready: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    for number in range(rounds):
        for name in (OURS, *FLASKS):
            port = free_port()
            flask = [sys.executable, "-c", FLASK, str(run / "model.keras"), str(port)]
            backend = {"KERAS_BACKEND": FLASKS[name], "TF_CPP_MIN_LOG_LEVEL": "3"} if name in FLASKS else {}
            words = flask if name in FLASKS else ours(run, port)
            with serving(words, port, **backend) as (process, waited):
                ready.setdefault(name, []).append(waited)
                memory.setdefault(name, []).append(resident(process.pid))
                for connections in CONNECTIONS if name == OURS else CONNECTIONS[-1:]:
                    load(script, port, connections, 2)  # warms up and does not count
                    one = load(script, port, connections, seconds)
                    found.setdefault((name, connections), []).append(one)
                    said = f"{one.speed:7.0f} requests/s, p99 {one.p99:6.1f} ms, {one.lost} lost"
                    print(f"round {number + 1}: {name:<28} {connections:3} connections {said}", flush=True)
    lines = [
        "| server | connections | requests/s, median (range) | p50, ms | p99, ms | lost | ready, s | MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (name, connections), loads in found.items():
        speeds = [one.speed for one in loads]
        middle = {key: statistics.median(getattr(one, key) for one in loads) for key in ("p50", "p99")}
        lines.append(
            f"| {name} | {connections} | {statistics.median(speeds):,.0f} ({min(speeds):,.0f} to "
            f"{max(speeds):,.0f}) | {middle['p50']:.1f} | {middle['p99']:.1f} | "
            f"{sum(one.lost for one in loads)} | {statistics.median(ready[name]):.1f} "
            f"| {statistics.median(memory[name]):,.0f} |"
        )
    most = CONNECTIONS[-1]
    mine = found[OURS, most]
    rate, p99 = (statistics.median(getattr(one, key) for one in mine) for key in ("speed", "p99"))
    best = max(statistics.median(b.speed for b in found[name, most]) for name in FLASKS)
    verdicts = [
        f"{rate:,.0f} requests/s, bar {BARS['requests/s']:,} {met(rate >= BARS['requests/s'])}, "
        f"aim {BARS['aim requests/s']:,} {met(rate >= BARS['aim requests/s'])}",
        f"p99 {p99:.0f} ms, bar {BARS['p99']} {met(p99 < BARS['p99'])}, aim {BARS['aim p99']} "
        f"{met(p99 < BARS['aim p99'])}",
        f"{rate / best:.1f} times the faster Flask, bar {BARS['Flask']} {met(rate >= BARS['Flask'] * best)}",
        f"ready after {statistics.median(ready[OURS]):.1f} s, bar {BARS['ready']} "
        f"{met(statistics.median(ready[OURS]) < BARS['ready'])}",
        f"{statistics.median(memory[OURS]):.0f} MB when ready, bar {BARS['MB']} "
        f"{met(statistics.median(memory[OURS]) < BARS['MB'])}",
    ]
    said = f"{rounds} rounds of {seconds} s; all requests come from wrk on the same two cores."
    return "\n".join([*lines, "", f"{said} {'; '.join(verdicts)}."])


def met(good: bool) -> str:
    return "(met)" if good else "(not met)"


def hostile(run: Path, count: int) -> str:
    """Uploads of every bad kind from another process, good requests beside them, memory before and after."""
    port = free_port()
    with serving(ours(run, port, "--timeout", "5", "--quiet"), port) as (process, _):
        started([sys.executable, __file__, str(run), "--attack", str(port), "--hostile", str(count // 20)])
        before = resident(process.pid)
        stop, good = threading.Event(), []
        asking = threading.Thread(target=keep_asking, args=(port, run, stop, good))
        asking.start()
        said = started([sys.executable, __file__, str(run), "--attack", str(port), "--hostile", str(count)])
        stop.set()
        asking.join()
        time.sleep(2)
        after, alive = resident(process.pid), process.poll() is None
    came = json.loads(said.splitlines()[-1])
    right = sum(code == 200 for code, _ in good)
    slowest = max(seconds for _, seconds in good)
    answers = ", ".join(f"{number:,} x {code}" for code, number in sorted(came.items()))
    bad = came.get("500", 0)
    return (
        f"{count:,} hostile uploads ({answers}): {'no crash' if alive else 'CRASHED'}, {bad} answers of 500, "
        f"memory {after - before:+.0f} MB {met(after - before < 50)}; of {len(good):,} good "
        f"requests beside them {right:,} were answered {met(right == len(good))}, the slowest in "
        f"{slowest:.2f} s."
    )


def keep_asking(port: int, run: Path, stop: threading.Event, found: list[tuple[int, float]]) -> None:
    """One good request after the other until told to stop."""
    from tenfold import images, runs

    kept, _ = runs.open_run(run).gallery("validation")
    body = images.encode_png(kept[0])
    while not stop.is_set():
        begin = time.perf_counter()
        try:
            to = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            to.request("POST", "/predict", body, {"content-type": "image/png"})
            code = to.getresponse().status
            to.close()
        except OSError:
            code = 0
        found.append((code, time.perf_counter() - begin))
        time.sleep(0.01)


def attack(port: int, count: int) -> dict[str, int]:
    """Makes uploads of every bad kind; counts the codes that came back, "closed" where none did."""
    from concurrent.futures import ThreadPoolExecutor

    makers = list(kinds().items())
    codes: Counter[str] = Counter()
    with ThreadPoolExecutor(16) as pool:
        for code in pool.map(
            lambda number: thrown(port, number, *makers[number % len(makers)]), range(count)
        ):
            codes[code] += 1
    return dict(codes)


def kinds() -> dict[str, Any]:
    """Bodies, and whole requests where the name begins with "raw"."""
    from PIL import Image

    def file(mode: str, size: tuple[int, int], form: str, **more: Any) -> bytes:
        buffer = io.BytesIO()
        Image.effect_noise(size, 80).convert(mode).save(buffer, form, **more)
        return buffer.getvalue()

    def flat(mode: str, size: tuple[int, int]) -> bytes:
        buffer = io.BytesIO()
        Image.new(mode, size).save(buffer, "PNG")
        return buffer.getvalue()

    png, jpeg = file("RGB", (64, 64), "PNG"), file("RGB", (640, 480), "JPEG")
    lied = bytearray(flat("RGB", (3000, 3000)))
    lied[16:24] = (32).to_bytes(4, "big") * 2
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\n"
    return {
        "bomb": flat("1", (20_000, 20_000)),
        "bomb below the limit": flat("RGBA", (3900, 3900)),
        "lie": bytes(lied),
        "truncated PNG": png[: len(png) // 2],
        "truncated JPEG": jpeg[: len(jpeg) // 2],
        "random": random.Random(0).randbytes(20_000),
        "text": b"no picture " * 1000,
        "empty": b"",
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "too many bytes": b"x" * 17_000_000,
        "TIFF": file("L", (64, 64), "TIFF")[:200] + b"\xff" * 2000,
        "GIF": b"GIF89a" + b"\xff" * 3000,
        "raw huge headers": head + b"x-a: " + b"y" * 60_000 + b"\r\n\r\n",
        "raw many headers": head + b"x-a: y\r\n" * 20_000 + b"\r\n",
        "raw slow": head + b"content-length: 100000\r\n\r\n" + b"x" * 10,
        "raw slow headers": head,
        "raw wrong length": head + b"content-length: nine\r\n\r\n",
        "raw chunks": head + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        "raw no HTTP": b"\x16\x03\x01" * 100,
    }


def thrown(port: int, number: int, name: str, sent: bytes) -> str:
    """One upload; slow ones hang on to the connection only now and then, so that all ends."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as to:
            if not name.startswith("raw"):
                kind = ("image/png", "application/json", "multipart/form-data; boundary=x")[number % 3]
                head = f"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\nconnection: close\r\n"
                sent = f"{head}content-length: {len(sent)}\r\n\r\n".encode() + sent
            to.sendall(sent)
            if "slow" in name and number % 500 > 40:
                return "left"
            answer = to.recv(100)
    except OSError:
        return "closed"
    return answer[9:12].decode(errors="replace") or "closed"


def update(run: Path, script: Path, times: int = 3) -> str:
    """Another calibration several times under load; nobody may notice but by the answers."""
    port = free_port()
    log = script.with_name("serve.log")
    path = run / "calibration.json"
    told = json.loads(path.read_text())
    found: list[Load] = []
    done = threading.Event()

    def keep_on() -> None:
        while not done.is_set():
            found.append(load(script, port, CONNECTIONS[-1], 10))

    with serving(ours(run, port, "--quiet"), port, log) as (process, _):
        busy = threading.Thread(target=keep_on)
        busy.start()
        for number in range(times):
            time.sleep(1)
            path.write_text(json.dumps({**told, "temperature": told["temperature"] * (1.1 + number / 10)}))
            process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 180
            while log.read_text().lower().count("reloaded") <= number and time.monotonic() < end:
                time.sleep(0.1)
        done.set()
        busy.join()
        replaced = log.read_text().count("Reloaded: updated.")
    lost, p99 = sum(one.lost for one in found), max(one.p99 for one in found)
    return (
        f"The model was replaced {replaced} times under the load of {CONNECTIONS[-1]} connections: of "
        f"{sum(one.requests for one in found):,} requests {lost} were lost "
        f"{met(lost == 0 and replaced == times)}; p99 {p99:.0f} ms at worst in slices of 10 s."
    )


def schema(run: Path) -> str:
    """schemathesis makes requests from the OpenAPI document; none may be answered with 5xx."""
    program = shutil.which("schemathesis") or str(Path(sys.executable).with_name("schemathesis"))
    port = free_port()
    with serving(ours(run, port, "--quiet"), port) as (process, _), tempfile.TemporaryDirectory() as folder:
        words = ["run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "not_a_server_error"]
        words += ["--max-examples", "200"]
        # It keeps a cache where it runs.
        done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True)
        alive = process.poll() is None
    said = done.stdout.strip().splitlines()
    if done.returncode:
        print(done.stdout[-4000:])
    cases = next((line.strip() for line in said if re.search(r"\d+ generated", line)), said[-1].strip("= "))
    return f"schemathesis on the OpenAPI document: {cases} {met(done.returncode == 0 and alive)}."


def resident(process: int) -> float:
    """Megabytes that a process holds in memory."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def started(words: list[str]) -> str:
    """What a program prints."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr}\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
