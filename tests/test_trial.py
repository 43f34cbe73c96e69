"""``convfilter try`` without a browser: requests, answers, authorisation, shutdown."""

import http.client
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

import convfilter
from convfilter import pipeline
from convfilter.cli import main
from convfilter.errors import PictureError, UsageError, WriteError
from convfilter.filters.catalog import FILTERS
from convfilter.picture.options import ReadOptions
from convfilter.trial import pace
from convfilter.trial import server as trial_server
from convfilter.trial.catalogue import catalogue
from convfilter.trial.request import StackRequest, ViewRequest, spec_of, stack_of, stack_request, view_request
from convfilter.trial.scene import Scene
from convfilter.trial.server import Server

PHOTO = np.random.default_rng(5).integers(0, 256, (120, 160, 3), np.uint8)
WHOLE = ViewRequest(True, 0, 0, 4000, 4000)


@pytest.fixture
def scene(tmp_path):
    convfilter.write(tmp_path / "in.png", PHOTO)
    return Scene(str(tmp_path / "in.png"), str(tmp_path / "out.png"))


def shown(data):
    return np.asarray(Image.open(io.BytesIO(data)))


# Requests -------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_as_text_comes_back_from_the_page_as_it_was(name):
    text = FILTERS[name].example
    (stage,) = stack_of((text,))
    row = next(row for row in catalogue() if row["name"] == name)
    defaults = {parameter["name"]: parameter["default"] for parameter in row["parameters"] + row["stage"]}
    said = {key: value for key, value in stage["values"].items() if value != defaults[key]}
    assert stack_of((spec_of(name, stage["values"]),)) == [{"filter": name, "values": said}]


def test_a_stride_of_one_is_no_default_of_pooling():
    assert spec_of("maxpool", {"size": "3", "stride": "1", "padding": "same"}) == "maxpool:3,stride=1,padding=same"


def test_defaults_that_a_file_may_replace_are_kept():
    assert spec_of("layer", {"file": "a.npz", "padding_mode": "edge"}) == "layer:a.npz,padding_mode=edge"
    assert spec_of("convtranspose", {"file": "a.npz", "padding": "same"}) == "convtranspose:a.npz,padding=same"
    assert spec_of("layer", {"file": "a.npz", "flip": "false"}) == "layer:a.npz"


def test_values_that_are_the_default_are_left_out():
    assert spec_of("sobel", {"axis": "magnitude", "stride": "1", "padding_mode": ""}) == "sobel"
    assert spec_of("gaussian", {"sigma": " 2.5 ", "stride": "2", "nothing": "3"}) == "gaussian:2.5,stride=2"


def test_the_command_and_the_rule_are_quoted_for_shell_and_make():
    wanted = StackRequest(("kernel:1 2 1; 2 4 2; 1 2 1,normalize=true", "abs"), linear=True, gray=True)
    command = wanted.command("my in.jpg", "-out.png")
    assert command == (
        "convfilter apply -f 'kernel:1 2 1; 2 4 2; 1 2 1,normalize=true' -f abs --linear --gray 'my in.jpg' ./-out.png"
    )
    assert wanted.rule("my in.jpg", "o#t$.png").splitlines() == [
        "o\\#t$$.png: my\\ in.jpg",
        "\tconvfilter apply -f 'kernel:1 2 1; 2 4 2; 1 2 1,normalize=true' -f abs --linear --gray '$<' '$@'",
    ]
    assert StackRequest(("box:3",)).rule("in.png", "out.png") == "out.png: in.png\n\tconvfilter apply -f box:3 $< $@\n"


@pytest.mark.parametrize(
    "name", ["a b", "o#t", "p%s", "a$b`c", "e=f", "s;t", "back\\slash", "it's", "it's $HOME", "-x"]
)
def test_make_runs_the_rule_for_any_name(tmp_path, monkeypatch, name):
    (tmp_path / "convfilter").write_text(
        '#!/bin/sh\nfor word; do before=$last; last=$word; done\necho "$before>$last"\n'
    )
    (tmp_path / "convfilter").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    (tmp_path / f"{name}.in").touch()
    (tmp_path / "Makefile").write_text(StackRequest(("box:3",)).rule(f"{name}.in", f"{name}.out"))
    goal = ["--", f"{name}.out"] if "%" in name else []  # make takes no name with % as its default goal
    done = subprocess.run(["make", "-s", *goal], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{name}.in>{name}.out\n"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"stack": []},
        {"stack": "gaussian"},
        {"stack": [{}]},
        {"stack": [{"filter": "blurr", "values": {}}]},
        {"stack": [{"filter": "box", "values": {"size": "3"}}] * 33},
    ],
)
def test_an_invalid_request_for_a_stack_is_refused(content):
    with pytest.raises(UsageError):
        stack_request(content)


@pytest.mark.parametrize("view", [None, {}, {"width": "x"}, {"width": 0, "height": 5}, {"width": 1e400, "height": 5}])
def test_an_invalid_rectangle_is_refused(view):
    with pytest.raises(UsageError):
        view_request(view)


# The visible region ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        StackRequest(("gaussian:2.5",)),
        StackRequest(("gaussian:1", "sobel:magnitude,stride=2,padding_mode=reflect")),
        StackRequest(("unsharp:2,amount=2",), linear=True),
        StackRequest(("sobel:x",), gray=True),
        StackRequest(("normalize",)),
        StackRequest(("maxpool:3,stride=1",)),
    ],
)
def test_the_view_equals_the_file_that_the_command_writes(wanted, scene):
    command = shlex.split(wanted.command(scene.source, scene.output))
    assert main(command[1:]) == 0
    expected = convfilter.read(scene.output).pixels
    data, facts = scene.view(wanted, ViewRequest(False, 21, 13, 40, 30))
    assert (facts["left"], facts["top"], facts["factor"]) == (21, 13, 1)
    np.testing.assert_array_equal(shown(data), expected[13:43, 21:61])
    data, facts = scene.view(wanted, WHOLE)
    assert facts["size"] == [expected.shape[1], expected.shape[0]]
    np.testing.assert_array_equal(shown(data), expected)


FILES = {"kernel", "layer", "convtranspose", "net"}


@pytest.mark.parametrize("row", [row for row in FILTERS.values() if row.name not in FILES], ids=lambda row: row.name)
def test_a_part_of_any_filter_is_that_of_the_whole(row, scene):
    wanted = StackRequest((row.example,))
    whole = shown(scene.view(wanted, WHOLE)[0])
    part, facts = scene.view(wanted, ViewRequest(False, 13, 17, 20, 15))
    rows, cols = (slice(facts[name], facts[name] + size) for name, size in (("top", 15), ("left", 20)))
    np.testing.assert_array_equal(shown(part), whole[rows, cols])


@pytest.mark.parametrize("row", [row for row in FILTERS.values() if row.name not in FILES], ids=lambda row: row.name)
@pytest.mark.parametrize("more", ["", "linear", "stack"])
def test_a_quick_preview_has_pixels_of_the_result(row, more, scene):
    wanted = StackRequest(("gaussian:7", row.example) if more == "stack" else (row.example,), linear=more == "linear")
    whole = shown(scene.view(wanted, WHOLE)[0])
    data, facts = scene.view(wanted, ViewRequest(True, 0, 0, 50, 50, quick=True))
    factor = max(-(-size // 50) for size in whole.shape[:2])
    assert (facts["factor"], facts["quick"]) == (factor, factor > 1)
    difference = np.abs(shown(data) - whole[::factor, ::factor].astype(float))
    # A stride may be summed by another method; the values before rounding are as close as is promised for both.
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


@pytest.mark.parametrize("specs", [("gaussian:1", "sobel:magnitude"), ("canny:1",)])
def test_a_slow_preview_is_followed_by_a_coarser_one_if_that_is_faster(specs, scene, monkeypatch):
    wanted = StackRequest(specs, linear=True)
    whole = shown(scene.view(wanted, WHOLE)[0]).astype(float)
    monkeypatch.setattr(pace, "SLOW_SECONDS", 0.0)
    steps = []
    for _ in range(4):
        data, facts = scene.view(wanted, ViewRequest(True, 0, 0, 50, 50, quick=True))
        assert facts["factor"] == 4
        steps.append(facts["step"])
        assert np.abs(shown(data) - whole[:: facts["step"], :: facts["step"]]).max() <= 1
    assert steps == ([4, 4, 4, 4] if specs == ("canny:1",) else [4, 4, 8, 16])
    assert scene.view(wanted, ViewRequest(True, 0, 0, 50, 50))[1]["step"] == 4


def test_the_pace_follows_the_time_of_previews_of_one_stack():
    rate = pace.Pace()
    for seconds, factor in [(9, 1), (0.08, 2), (0.04, 2), (0.08, 4), (0.08, 4), (0.02, 2), (0.02, 1), (0.02, 1)]:
        rate.record("a", seconds)
        assert (rate.factor("a"), rate.factor("b")) == (factor, 1)


def test_rectangles_beyond_the_border_move_inside(scene):
    _, facts = scene.view(StackRequest(("box:3",)), ViewRequest(False, 900, -5, 50, 40))
    assert (facts["left"], facts["top"]) == (110, 0)
    assert shown(scene.view(StackRequest(("box:3",)), ViewRequest(False, 0, 0, 900, 900))[0]).shape == PHOTO.shape


def test_the_whole_is_reduced_by_means(scene):
    data, facts = scene.view(StackRequest(("identity",)), ViewRequest(True, 0, 0, 50, 50))
    assert facts["factor"] == 4
    means = PHOTO.reshape(30, 4, 40, 4, 3).mean(axis=(1, 3))
    assert np.abs(shown(data) - means).max() <= 1


def test_the_unfiltered_view_shows_the_same_place(scene):
    data, _ = scene.view(StackRequest(("gaussian:2",)), ViewRequest(False, 21, 13, 40, 30, before=True))
    np.testing.assert_array_equal(shown(data), PHOTO[13:43, 21:61])
    data, facts = scene.view(
        StackRequest(("box:2,stride=2,padding=valid",)), ViewRequest(False, 20, 10, 40, 30, before=True)
    )
    assert facts["size"] == [80, 60]
    np.testing.assert_array_equal(shown(data), PHOTO[35:65, 60:100])
    np.testing.assert_array_equal(
        shown(scene.view(StackRequest(("box:3,stride=2",)), WHOLE._replace(before=True))[0]), PHOTO
    )


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (PHOTO[..., 0].astype(np.uint16) * 257, "gray uint16"),
        (np.dstack([PHOTO, PHOTO[..., 1]]), "rgb+alpha uint8"),
    ],
)
def test_other_kinds_are_shown_with_8_bits(array, kind, tmp_path):
    convfilter.write(tmp_path / "in.png", array)
    scene = Scene(str(tmp_path / "in.png"), str(tmp_path / "out.png"))
    data, facts = scene.view(StackRequest(("identity",)), WHOLE)
    assert facts["kind"] == kind
    copied = convfilter.convolve(array, [[1]], alpha=array.ndim == 3)
    np.testing.assert_array_equal(shown(data), copied if array.dtype == np.uint8 else PHOTO[..., 0])


@pytest.mark.parametrize(
    ("specs", "error"),
    [(("gaussian:x",), UsageError), (("box:300,padding=valid",), PictureError), (("box:3,map=abs", "abs"), UsageError)],
)
def test_impossible_stacks_are_refused_as_by_the_command(specs, error, scene):
    with pytest.raises(error):
        scene.view(StackRequest(specs), WHOLE)


def test_a_picture_is_read_as_the_command_reads_it(tmp_path):
    pages = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1].copy())]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    options = pipeline.Options((), read=ReadOptions(frame=1))
    scene = Scene(str(tmp_path / "in.tif"), str(tmp_path / "out.png"), options, ("--frame", "1"))
    data, facts = scene.view(StackRequest(("identity",)), WHOLE)
    np.testing.assert_array_equal(shown(data), PHOTO[::-1])
    assert main(shlex.split(facts["command"])[1:]) == 0
    np.testing.assert_array_equal(convfilter.read(tmp_path / "out.png").pixels, PHOTO[::-1])
    assert "-f identity --frame 1 " in facts["rule"]


# The whole, saved -----------------------------------------------------------------


def test_a_saved_file_equals_that_of_the_command(scene, tmp_path):
    wanted = StackRequest(("gaussian:2", "sobel"))
    assert scene.save(wanted, "saved.png", replaces=False) == str(tmp_path / "saved.png")
    assert main(shlex.split(wanted.command(scene.source, scene.output))[1:]) == 0
    assert (tmp_path / "saved.png").read_bytes() == (tmp_path / "out.png").read_bytes()
    with pytest.raises(WriteError, match=r"saved\.png exists; tick 'replace it', or choose another name"):
        scene.save(wanted, "saved.png", replaces=False)
    scene.save(StackRequest(("box:3",)), "saved.png", replaces=True)
    np.testing.assert_array_equal(convfilter.read(tmp_path / "saved.png").pixels, convfilter.box_blur(PHOTO, 3))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b.png", "/tmp/b.png", "../b.png", "s3://b/c.png", "none.xyz", "in.png"]
)
def test_names_that_lead_elsewhere_are_refused(name, scene, tmp_path):
    with pytest.raises(UsageError):
        scene.save(StackRequest(("box:3",)), name, replaces=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


# Who may ask ----------------------------------------------------------------------


@contextmanager
def served(scene, monkeypatch, specs=("gaussian:2",)):
    monkeypatch.setattr(trial_server, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(trial_server, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(Server, "timeout", 0.02)
    server = Server(scene, specs)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server, thread
    finally:
        if thread.is_alive():
            request(server, "GET", f"/{server.token}/alive", read=False).close()
            thread.join(10)
        assert not thread.is_alive()


def request(server, method, path, body=None, *, read=True, **headers):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"Content-Type": "application/json", **named})
    answer = connection.getresponse()
    if read:
        answer.content = answer.read()
        connection.close()
    return answer


def test_requests_without_the_secret_are_refused(scene, monkeypatch):
    with served(scene, monkeypatch) as (server, _):
        assert server.server_address[0] == "127.0.0.1"
        own, body = f"/{server.token}", json.dumps({"stack": server.stack, "view": {"width": 9, "height": 7}})
        for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
            answer = request(server, "GET", own + path)
            assert answer.status == 200
            assert answer.getheader("Content-Type").startswith(kind)
            assert "default-src 'none'" in answer.getheader("Content-Security-Policy")
        assert json.loads(request(server, "GET", f"{own}/facts").content)["size"] == [160, 120]
        answer = request(server, "POST", f"{own}/view", body)
        assert shown(answer.content).shape == (7, 9, 3)
        assert json.loads(answer.getheader("X-Facts"))["command"].startswith("convfilter apply -f gaussian:2 ")
        for path in ("/", "/page.js", "/x/", f"/{server.token[:-1]}/", own):
            assert request(server, "GET", path).status == 404
        for path in ("/page.py", "/server.py", "/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/view"):
            assert request(server, "GET", own + path).status == 404
        for headers in (
            {"Host": "evil.example"},
            {"Host": f"localhost.evil.example:{server.server_address[1]}"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "cross-site"},
        ):
            assert request(server, "GET", f"{own}/facts", **headers).status == 403
            assert request(server, "POST", f"{own}/view", body, **headers).status == 403
        assert request(server, "POST", f"{own}/view", body, Content_Type="text/plain").status == 404
        assert request(server, "POST", f"{own}/view", b" " * (1 << 17)).status == 413
        assert request(server, "PUT", f"{own}/view", body).status == 501


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("view", b"\xff", "the request is not JSON"),
        ("view", b"[" * 60000, "the request is not JSON"),
        ("view", b"[]", "the request is not a JSON object"),
        ("view", b"{}", "a stack is a list of filters with their values"),
        (
            "view",
            b'{"stack": [{"filter": "box", "values": {"size": "0"}}], "view": {"width": 1, "height": 1}}',
            "box:0",
        ),
        ("save", b'{"stack": [{"filter": "abs"}], "name": "../x.png"}', "the name must be that of a file"),
        ("save", b'{"stack": [{"filter": "abs"}], "name": "in.png"}', "in.png exists; tick 'replace it'"),
    ],
)
def test_errors_are_answered_with_one_sentence(name, body, message, scene, monkeypatch):
    with served(scene, monkeypatch) as (server, _):
        answer = request(server, "POST", f"/{server.token}/{name}", body)
        assert answer.status == 422
        assert message in json.loads(answer.content)["error"]


# How it ends ----------------------------------------------------------------------


def test_the_server_ends_when_the_last_page_is_closed(scene, monkeypatch):
    with served(scene, monkeypatch) as (server, thread):
        pages = [request(server, "GET", f"/{server.token}/alive", read=False) for _ in range(2)]
        assert [page.read(3) for page in pages] == 2 * [b":\n\n"]
        pages[0].close()
        thread.join(0.4)
        assert thread.is_alive()
        pages[1].close()
        thread.join(10)
        assert not thread.is_alive()


def test_the_program_says_its_address_and_ends_with_ctrl_c(tmp_path):
    convfilter.write(tmp_path / "in.png", PHOTO)
    program = [sys.executable, "-m", "convfilter", "try", "--no-browser", "in.png"]
    process = subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    port, token = address.removeprefix("http://127.0.0.1:").strip("/").split("/")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", f"/{token}/facts")
    assert json.loads(connection.getresponse().read())["output"] == "in-tried.png"
    connection.close()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == "convfilter: close the page, or press Ctrl-C here, to end\n"


def test_a_configuration_holds_as_it_does_for_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    convfilter.write("in.png", PHOTO)
    (tmp_path / "convfilter.toml").write_text('padding-mode = "wrap"\nlinear = true\n')
    scenes = []
    monkeypatch.setattr(Server, "serve", lambda server: scenes.append(server.scene) or server.server_close())
    assert main(["try", "--no-browser", "in.png", "out.png"]) == 0
    (scene,) = scenes
    assert scene.facts()["linear"]
    wanted = StackRequest(("gaussian:3",))
    assert main(shlex.split(wanted.command("in.png", "out.png"))[1:]) == 0
    expected = convfilter.read("out.png").pixels
    assert (expected != convfilter.gaussian_blur(PHOTO, 3)).any()
    np.testing.assert_array_equal(shown(scene.view(wanted, WHOLE)[0]), expected)
    np.testing.assert_array_equal(shown(scene.view(wanted, ViewRequest(False, 0, 0, 30, 20))[0]), expected[:20, :30])


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["none.png"], 1, "none.png: there is no such file"),
        (["-"], 2, "filters are tried on a file, and '-' is standard input; save the picture first"),
        (["-f", "blurr", "in.png"], 2, "blurr"),
        (["in.png", "out.xyz"], 2, "no picture format has the suffix"),
        (["--port", "70000", "in.png"], 2, "--port: port must be at most 65535, got 70000"),
        (
            ["--max-pixels", "15", "in.png"],
            1,
            "in.png: the picture is too large: 4x4 is 16 pixels, the limit is 15; raise",
        ),
        (["--frame", "1", "in.png"], 1, "in.png: the frame must be 0, the only one, got 1"),
    ],
)
def test_invalid_arguments_fail_before_the_server_starts(arguments, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    convfilter.write("in.png", PHOTO[:4, :4])
    assert main(["try", "--no-browser", *arguments]) == status
    assert message in capsys.readouterr().err
