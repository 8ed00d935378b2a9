"""What surrounds a request: token, origins of other pages, log lines, counts."""

import datetime
import json

import pytest

from tenfold import cli
from tenfold.cli import command

parser = pytest.importorskip("prometheus_client.parser", reason="needs the extra `serve`")

TOKEN = "correct horse"


def test_a_token_is_asked_of_all_but_the_page_and_the_health_checks(serve, run, pictures):
    server = serve(run.path, TENFOLD_TOKEN=TOKEN)
    for path in ("/", "/page.js", "/health/live", "/health/ready"):
        assert server.ask("GET", path).code == 200
    for path in ("/models", "/metrics", "/openapi.json", "/v1/models/digits", "/nowhere"):
        refused = server.ask("GET", path)
        assert (refused.code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.json["error"]["code"] == "unauthorized"
    for wrong in ("", "Bearer", f"Bearer {TOKEN} ", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}"):
        assert server.ask("POST", "/predict", pictures[0], authorization=wrong).code == 401
    assert server.ask("POST", "/predict", pictures[0], authorization=f"Bearer {TOKEN}").code == 200
    assert TOKEN not in json.dumps(server.log) + server.told


def test_pages_of_other_hosts_may_ask_where_they_are_named(serve, run, server, pictures):
    theirs = "https://example.org"
    other = serve(run.path, "--cors", theirs, "--token", TOKEN)
    asked = {"origin": theirs, "access_control_request_method": "POST"}
    allowed = other.ask("OPTIONS", "/predict", **asked, access_control_request_headers="authorization")
    assert (allowed.code, allowed.headers["access-control-allow-origin"]) == (200, theirs)
    found = other.ask("POST", "/predict", pictures[0], origin=theirs, authorization=f"Bearer {TOKEN}")
    assert found.headers["access-control-allow-origin"] == theirs
    stranger = other.ask("GET", "/models", origin="https://example.com", authorization=f"Bearer {TOKEN}")
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-origin" not in server.ask("GET", "/models", origin=theirs).headers


def test_each_request_is_a_line_without_names_or_pictures(serve, run, pictures):
    server = serve(run.path)

    def asked():
        found = [line for line in server.log if line["route"] != "/health/ready"]
        return found if len(found) == 4 else None

    server.ask("POST", "/predict?model=digits", pictures[0])
    server.ask("POST", "/predict?model=holiday-in-rome", pictures[0])
    server.ask("GET", "/holiday/in/rome.png")
    server.ask("GET", "/models/digits/samples/3.png")
    good, unknown, nowhere, sample = server.until(asked)
    assert good.pop("milliseconds") > 0
    moment = datetime.datetime.fromisoformat(good.pop("time"))
    assert abs(datetime.datetime.now(datetime.UTC) - moment) < datetime.timedelta(minutes=1)
    sizes = {"model": "digits", "pictures": 1, "bytes": len(pictures[0])}
    assert good == {"method": "POST", "route": "/predict", "code": 200, **sizes}
    assert (unknown["route"], unknown["code"]) == ("/predict", 404)
    assert (nowhere["route"], nowhere["code"]) == ("other", 404)
    assert sample["route"] == "/models/{name}/samples/{number:int}.png"
    assert "rome" not in json.dumps(server.log)


def test_a_quiet_server_writes_no_lines(serve, run, pictures):
    server = serve(run.path, "--quiet")
    assert server.ask("POST", "/predict", pictures[0]).code == 200
    assert server.log == []


def test_metrics_count_what_was_asked(server, pictures):
    def counted():
        families = parser.text_string_to_metric_families(server.ask("GET", "/metrics").body.decode())
        samples = [sample for family in families for sample in family.samples]
        return {(one.name, *sorted(one.labels.values())): one.value for one in samples}

    before = counted()
    for picture in pictures[:5]:
        server.ask("POST", "/predict", picture)
    server.ask("POST", "/predict", b"text")
    after = counted()

    def risen(*key):
        return after[key] - before.get(key, 0)

    assert risen("tenfold_requests_total", "/predict", "200") == 5
    assert risen("tenfold_requests_total", "/predict", "422") == 1
    assert risen("tenfold_pictures_total", "digits") == 5
    assert risen("tenfold_batch_pictures_sum") == 5
    assert risen("tenfold_request_seconds_count", "/predict") == 6
    assert after["tenfold_queue_pictures",] == 0
    assert after["process_resident_memory_bytes",] > 1e7


def test_the_token_stays_out_of_the_command_that_logs_hold(capsys):
    assert cli.main(["serve", "nowhere", "--token", TOKEN]) == 2
    assert "nowhere" in command.line()
    assert TOKEN not in command.line() + capsys.readouterr().err
