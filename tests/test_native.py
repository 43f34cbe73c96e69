import functools
import os
import shutil
import sys
import tempfile
import threading
import types
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from processes import run_python, start_python

import convfilter
from convfilter.machine import processor
from convfilter.native import code_cache, image, object_code
from convfilter.native.loop import Loop
from convfilter.native.object_code import cache_clear
from convfilter.precompile import variants
from convfilter.precompile.variants import cache_warm

SIGNATURE = "A* i8 i8 i8 i8 A"  # of premultiply, the loop that most tests compile
CODES = Loop("load", "premultiply", SIGNATURE).codes(A=np.float32)

#: The compiler, whose code for a loop is the same each time; a compilation takes half a second.
compile_loop = functools.cache(object_code.compile_loop)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, and a folder for the temporary one."""
    monkeypatch.setenv("CONVFILTER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(object_code, "compile_loop", compile_loop)
    object_code.on_notice(None)  # not what a command has set in another test
    return tmp_path / "cache"


@pytest.fixture
def notices(monkeypatch):
    """The notices of a process that begins now."""
    told = []
    monkeypatch.setattr(object_code, "announced", set())
    object_code.on_notice(told.append)
    yield told
    object_code.on_notice(None)


@pytest.fixture
def compiled(monkeypatch):
    """The names of the functions that were compiled."""
    names = []

    def compile_and_note(module, function, codes):
        names.append(function)
        return compile_loop(module, function, codes)

    monkeypatch.setattr(object_code, "compile_loop", compile_and_note)
    return names


def answer(module="load"):
    """Run the loop as a new process would, and return the tile that it makes of 10 and 20 with alpha 2 and 3."""
    tile = np.array([10, 2, 20, 3], np.float32)
    Loop(module, "premultiply", SIGNATURE).variant(A=np.float32)(tile, 4, 1, 2, 2, 255.0)
    return tile.tolist()


RIGHT = [20, 510, 60, 765]


def test_a_loop_is_compiled_once_and_kept(folder, compiled):
    assert answer() == RIGHT
    assert answer() == RIGHT
    assert compiled == ["premultiply"]
    (kept,) = os.listdir(folder)
    assert kept.startswith("premultiply-")


def test_llvm_loads_code_that_is_not_linked_ahead(folder, monkeypatch):
    """On processors whose relocations ``native/image.py`` does not know, the object file itself is kept."""
    monkeypatch.setattr(object_code.image, "link", lambda code, entries: None)
    monkeypatch.setattr(object_code, "compile_loop", compile_loop.__wrapped__)
    assert answer() == RIGHT
    assert answer() == RIGHT
    (kept,) = folder.iterdir()
    assert b"ELF" in kept.read_bytes() or sys.platform != "linux"


def test_each_type_is_cached_by_itself(folder, compiled):
    loop = Loop("load", "premultiply", SIGNATURE)
    for dtype in (np.float32, np.float64, np.float32, np.float64):
        tile = np.array([10, 2], dtype)
        loop.variant(A=dtype)(tile, 2, 1, 1, 2, 255.0)
        assert tile.tolist() == [20, 510]
    assert len(compiled) == len(os.listdir(folder)) == 2


# Damaged files in the cache ------------------------------------------------------


def truncate(file):
    file.write_bytes(file.read_bytes()[:-1])


def cut_in_half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def empty(file):
    file.write_bytes(b"")


def garble(file):
    file.write_bytes(bytes(range(256)) * 40)


def link(file):
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


def pipe(file):
    file.unlink()
    os.mkfifo(file)


def let_others_write(file):
    file.chmod(0o666)


def rename_another(file):
    Loop("load", "premultiply", SIGNATURE).variant(A=np.float64)
    (other,) = set(file.parent.iterdir()) - {file}
    other.replace(file)


@pytest.mark.parametrize(
    "damage", [truncate, cut_in_half, flip, empty, garble, link, pipe, let_others_write, rename_another]
)
def test_a_damaged_file_costs_a_compile_and_is_made_anew(folder, compiled, damage):
    answer()
    damage(next(folder.iterdir()))
    compiled.clear()
    assert answer() == RIGHT
    assert compiled == ["premultiply"]
    assert answer() == RIGHT
    assert compiled == ["premultiply"]
    assert len(os.listdir(folder)) == 1


def test_a_folder_under_the_name_costs_a_compile(folder, compiled, notices):
    answer()
    file = next(folder.iterdir())
    file.unlink()
    file.mkdir()
    assert answer() == RIGHT
    assert compiled == ["premultiply"] * 2
    assert "cannot be cached" in notices[-1]


# The folder is not ours, or not writable --------------------------------------------


def in_the_way(folder):
    folder.write_text("mine")


def below_a_file(folder):
    folder.write_text("mine")
    return folder / "below"


def writable_by(mode):
    def open_up(folder):
        folder.mkdir()
        folder.chmod(mode)

    open_up.__name__ = f"mode_{mode:o}"
    return open_up


def linked_to_writable(folder):
    target = folder.with_name("open")
    target.mkdir()
    target.chmod(0o777)
    folder.symlink_to(target)


def foreign(folder):
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    folder.mkdir()
    os.chown(folder, 65534, -1)


def temporary(folder):
    """Return the folder that is taken where the chosen one cannot be written."""
    return folder.with_name(f"convfilter-{os.geteuid()}")


@pytest.mark.parametrize(
    "spoil",
    [in_the_way, below_a_file, *map(writable_by, (0o770, 0o707, 0o777, 0o1777)), linked_to_writable, foreign],
    ids=lambda spoil: spoil.__name__,
)
def test_an_unusable_folder_is_reported_once_and_another_is_taken(folder, monkeypatch, compiled, notices, spoil):
    chosen = spoil(folder) or folder
    monkeypatch.setenv("CONVFILTER_CACHE_DIR", str(chosen))
    assert answer() == RIGHT
    assert answer() == RIGHT
    assert compiled == ["premultiply"]
    compiling, not_kept = notices
    assert "compiling" in compiling
    assert f"cannot be cached ({chosen}: " in not_kept and f"goes to {temporary(folder)};" in not_kept
    assert "CONVFILTER_CACHE_DIR" in not_kept
    assert not folder.is_dir() or os.listdir(folder) == []
    assert cache_clear() == 1


def test_two_unusable_folders_cost_a_compile_each_time(folder, monkeypatch, compiled, notices):
    chosen = below_a_file(folder)
    monkeypatch.setenv("CONVFILTER_CACHE_DIR", str(chosen))
    in_the_way(temporary(folder))
    assert answer() == RIGHT
    assert answer() == RIGHT
    assert compiled == ["premultiply"] * 2
    assert notices[1:] == [
        f"the compiled code cannot be cached ({chosen}: Not a directory); "
        "set CONVFILTER_CACHE_DIR to a folder of your own"
    ]


@pytest.fixture
def without_locks():
    """Compile as the process that compiles ahead does."""
    object_code.compile_with_lock(False)
    yield
    object_code.compile_with_lock(True)


def test_a_run_does_not_wait_for_compilation_ahead_of_time(folder, compiled, without_locks):
    """A process of low priority may hold the lock of a loop for long; others compile the loop themselves."""
    assert answer() == RIGHT
    (name,) = os.listdir(folder)
    (folder / name).unlink()
    with code_cache.lock(folder, name):  # another process would wait for a minute here
        assert answer() == RIGHT
    assert compiled == ["premultiply"] * 2 and not list(folder.glob(".*.lock"))


def test_the_first_time_is_marked_until_the_cache_is_cleared(folder, compiled):
    answer()
    assert [object_code.is_first_time() for _ in range(3)] == [True, False, False]
    cache_clear()
    assert os.listdir(folder) == []
    assert object_code.is_first_time()


def premultiply(tile, pitch, rows, cols, channels, full):
    """Compute something else than the loop, like code that somebody else has put into the cache."""
    tile[0] = 666
    return 0


@pytest.fixture
def doctored(folder, monkeypatch):
    """A cache with foreign machine code under the right name, with the right digest."""
    answer()
    name = next(folder.iterdir()).name
    module = types.ModuleType("convfilter.loops.foreign")
    module.premultiply = premultiply
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = compile_loop("foreign", "premultiply", CODES)
    assert code_cache.store(folder, name, object_code.packed(code)) is None
    assert answer()[0] == 666, "the owner's own folder is believed"
    return folder


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_code_in_a_folder_that_others_can_write_never_runs(doctored, mode):
    doctored.chmod(mode)
    assert answer() == RIGHT


def test_code_in_a_file_that_others_can_write_never_runs(doctored):
    next(doctored.iterdir()).chmod(0o606)
    assert answer() == RIGHT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_code_of_another_user_never_runs(doctored, what):
    os.chown(doctored if what == "folder" else next(doctored.iterdir()), 65534, -1)
    assert answer() == RIGHT


def test_a_full_disk_costs_a_compile(folder):
    program = """
import resource
import numpy as np
from convfilter.native import loop, object_code
object_code.on_notice(print)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
tile = np.array([10, 2], np.float32)
loop.Loop("load", "premultiply", "A* i8 i8 i8 i8 A").variant(A=np.float32)(tile, 2, 1, 1, 2, 255.0)
print(tile.tolist())
"""
    compiling, not_kept, result = run_python(program).splitlines()
    assert "compiling" in compiling
    assert "File too large" in not_kept
    assert result == "[20.0, 510.0]"
    assert os.listdir(folder) == []


# What decides the name ------------------------------------------------------------


def look_again():
    """Forget the versions of the compilers, which a process looks up once."""
    object_code._compilers.cache_clear()


def other_cpu(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel\t\t: 99\nflags\t\t: fpu avx2\n\nprocessor\t: 1\n")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")


def other_cpu_as_llvm_tells(monkeypatch, tmp_path):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "another-cpu")


def other_numba(monkeypatch, tmp_path):
    (tmp_path / "numba-99.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)


def other_llvmlite(monkeypatch, tmp_path):
    (tmp_path / "llvmlite-99.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)


def other_convfilter(monkeypatch, tmp_path):
    monkeypatch.setattr(object_code, "__version__", "99.0")


def other_source(monkeypatch, tmp_path):
    loops = shutil.copytree(object_code.LOOPS, tmp_path / "loops")
    with open(loops / "load.py", "a") as stream:
        stream.write("\n")
    monkeypatch.setattr(object_code, "LOOPS", loops)


def other_helpers(monkeypatch, tmp_path):
    loops = shutil.copytree(object_code.LOOPS, tmp_path / "loops")
    with open(loops / "load.py", "a") as stream:
        stream.write("from convfilter.loops.other import _helper\n")
    (loops / "other.py").write_text("from convfilter.loops.another import _help\n")
    (loops / "another.py").write_text("")
    monkeypatch.setattr(object_code, "LOOPS", loops)


def other_vectors(monkeypatch, tmp_path):
    loops = shutil.copytree(object_code.LOOPS, tmp_path / "loops")
    with open(loops / "vectors.py", "a") as stream:
        stream.write("\n")
    monkeypatch.setattr(object_code, "LOOPS", loops)


def other_lowering(monkeypatch, tmp_path):
    lowering = shutil.copytree(object_code.LOWERING, tmp_path / "lowering")
    with open(lowering / "vectors.py", "a") as stream:
        stream.write("\n")
    monkeypatch.setattr(object_code, "LOWERING", lowering)


@pytest.mark.parametrize(
    "change",
    [
        other_cpu,
        other_cpu_as_llvm_tells,
        other_numba,
        other_llvmlite,
        other_convfilter,
        other_source,
        other_helpers,
        other_vectors,
        other_lowering,
    ],
)
def test_code_for_other_circumstances_is_compiled_anew_and_the_old_kept(folder, tmp_path, monkeypatch, change):
    answer()
    names = []
    code = compile_loop("load", "premultiply", CODES)

    def compile_and_note(_module, function, _codes):  # the circumstances are made up: no compiler knows them
        names.append(function)
        return code

    monkeypatch.setattr(object_code, "compile_loop", compile_and_note)
    assert answer() == RIGHT
    assert names == []
    with monkeypatch.context() as patch:
        change(patch, tmp_path)
        look_again()
        assert answer() == RIGHT
        assert names == ["premultiply"]
    look_again()
    assert answer() == RIGHT
    assert names == ["premultiply"]
    assert len(os.listdir(folder)) == 2


def test_another_python_uses_the_same_code(folder, compiled, monkeypatch):
    answer()
    monkeypatch.setattr(
        sys, "implementation", types.SimpleNamespace(**vars(sys.implementation) | {"cache_tag": "next"})
    )
    monkeypatch.setattr(sys, "version_info", (sys.version_info[0], sys.version_info[1] + 1, 0, "final", 0))
    monkeypatch.setattr(sys, "hexversion", sys.hexversion + 0x10000)
    assert answer() == RIGHT
    assert compiled == ["premultiply"]


#: Functions and variables of Python's stable ABI, which every later Python 3 has (PEP 384), in error paths.
STABLE = {"PyBytes_FromStringAndSize", "PyErr_Clear", "PyErr_SetNone", "PyErr_SetString", "PyErr_WriteUnraisable"}
STABLE |= {"PyExc_RuntimeError", "PyExc_StopIteration", "PyExc_SystemError", "PyUnicode_FromString", "Py_DecRef"}
LIBC = {"erf", "exp", "expm1", "log1p", "memcpy", "memmove", "memset", "pow", "sqrt", "sqrtf", "tanh"}


def test_code_depends_on_no_version_of_python():
    """Checks one loop, and those that other tests have compiled."""
    found = set()
    Loop("load", "premultiply", SIGNATURE).compile(A=np.float32)
    for loop, chosen in variants.all_variants():
        arguments = loop.module, loop.function, loop.codes(**chosen)
        if object_code.is_cached(*arguments):
            code = object_code.cached_or_compiled(*arguments)
            linked = image.unpacked(code.code)
            found |= set(code.needs) | ({name for _, name in linked.imports} if linked else set())
    assert "PyErr_SetString" in found
    assert {name for name in found if not name.startswith(("numba_", "NRT_"))} <= STABLE | LIBC


# Many at once -------------------------------------------------------------------

ONE_LOOP = """
import sys
import numpy as np
from convfilter.native.loop import Loop
tile = np.array([10, 2, 20, 3], np.float32)
Loop("load", "premultiply", "A* i8 i8 i8 i8 A").variant(A=np.float32)(tile, 4, 1, 2, 2, 255.0)
print(tile.astype(int).tolist(), "numba" in sys.modules)
"""


def test_processes_that_fill_one_cache_at_once_do_not_disturb_each_other(folder):
    processes = [start_python(ONE_LOOP) for _ in range(4)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, results
    # One has compiled the loop, and the others have waited for it.
    assert sorted(output for output, _errors in results) == [f"{RIGHT} False\n"] * 3 + [f"{RIGHT} True\n"]
    (kept,) = os.listdir(folder)
    assert kept.endswith(code_cache.SUFFIX)
    assert run_python(ONE_LOOP) == f"{RIGHT} False\n"


@pytest.mark.parametrize("usable", [True, False])
def test_threads_that_need_a_loop_at_once_get_the_same_one(folder, compiled, usable):
    if not usable:
        folder.write_text("in the way")
    loop, start, answers = Loop("load", "premultiply", SIGNATURE), threading.Barrier(6), []

    def first_use():
        tile = np.array([10, 2], np.float32)
        start.wait()
        loop.variant(A=np.float32)(tile, 2, 1, 1, 2, 255.0)
        answers.append(tile.tolist())

    threads = [threading.Thread(target=first_use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[20, 510]] * 6
    assert compiled == ["premultiply"]


# Notices and imports ------------------------------------------------------


def test_compilation_is_announced_once(folder, notices):
    answer()
    Loop("load", "premultiply", SIGNATURE).variant(A=np.float64)
    assert len(notices) == 1
    assert "compiling" in notices[0]
    notices.clear()
    object_code.announced.clear()
    answer()
    assert notices == []


def test_notices_need_a_listener(folder, notices):
    object_code.on_notice(None)
    answer()
    assert notices == []


def test_importing_the_package_loads_nothing_heavy():
    program = """
import sys
before = set(sys.modules)
import convfilter
dir(convfilter)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    loaded = run_python(program).split()
    assert "convfilter" in loaded
    heavy = {
        "PIL",
        "click",
        "imagecodecs",
        "importlib",
        "isal",
        "llvmlite",
        "numba",
        "numpy",
        "platformdirs",
        "tifffile",
    }
    assert heavy.isdisjoint(loaded)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = convfilter.no_such_name
    assert set(convfilter.__all__) <= set(dir(convfilter))


# The cache folder ----------------------------------------------------------------


def test_the_environment_names_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVFILTER_CACHE_DIR", str(tmp_path / "chosen"))
    assert code_cache.path() == str(tmp_path / "chosen")


def test_the_cache_folder_is_where_platformdirs_has_it(monkeypatch, tmp_path):
    import platformdirs

    monkeypatch.delenv("CONVFILTER_CACHE_DIR")
    for place in ("", str(tmp_path)):
        monkeypatch.setenv("XDG_CACHE_HOME", place)
        assert code_cache.path() == platformdirs.user_cache_dir("convfilter", appauthor=False)


@pytest.mark.parametrize("variable", [None, ""])
def test_the_cache_folder_is_the_users_by_default(monkeypatch, tmp_path, variable):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("CONVFILTER_CACHE_DIR")
    if variable is not None:
        monkeypatch.setenv("CONVFILTER_CACHE_DIR", variable)
    assert Path(code_cache.path()).is_relative_to(tmp_path)
    assert Path(code_cache.path()).name == "convfilter"
    assert list(tmp_path.iterdir()) == []


def without_home(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/cache")


def without_home_elsewhere(monkeypatch):
    def no_home(*_arguments, **_keywords):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("platformdirs.user_cache_dir", no_home)


@pytest.mark.parametrize("lose_home", [without_home, without_home_elsewhere])
def test_a_user_without_a_home_has_a_cache_among_the_temporary_files(monkeypatch, tmp_path, compiled, lose_home):
    monkeypatch.delenv("CONVFILTER_CACHE_DIR")
    lose_home(monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert answer() == answer() == RIGHT
    assert compiled == ["premultiply"]
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"convfilter-{os.geteuid()}"
    assert str(folder) == code_cache.path()


def test_the_first_use_makes_the_cache_folder_private(folder):
    answer()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_clear_empties_the_cache_and_leaves_other_files(folder, compiled):
    assert cache_clear() == 0
    answer()
    (folder / "notes.txt").write_text("mine")
    assert cache_clear() == 1
    assert os.listdir(folder) == ["notes.txt"]
    assert answer() == RIGHT
    assert len(compiled) == 2


@pytest.fixture
def two_loops(monkeypatch):
    """Have ``cache_warm`` compile two loops only."""
    some = [next(v for v in variants.all_variants() if v[0].function == name) for name in ("load", "premultiply")]
    monkeypatch.setattr(variants, "all_variants", lambda: iter(some))


def test_warm_fills_the_cache_so_that_nothing_is_left_to_compile(folder, two_loops, compiled):
    told = list(cache_warm(processes=1))
    assert [line.split()[0] for line in told] == compiled == ["load", "premultiply"]
    assert len(os.listdir(folder)) == 2
    assert list(cache_warm()) == told
    assert len(compiled) == 2


def test_warm_compiles_in_several_processes(folder, two_loops, compiled, notices, monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # threads of other tests may still be ending
    told = list(cache_warm(processes=2))
    assert [line.split()[0] for line in told] == ["load", "premultiply"]
    assert compiled == []  # by this process
    assert len(os.listdir(folder)) == 2
    assert notices == ["compiling for this machine, once (a few seconds)"]
    assert list(cache_warm()) == told


def test_workers_end_with_a_warm_that_is_killed(folder):
    program = (
        "from convfilter.precompile.variants import cache_warm\nfor name in cache_warm(2): print(name, flush=True)"
    )
    with start_python(program, CONVFILTER_CACHE_DIR=folder) as parent:
        assert parent.stdout.readline()  # from now on both workers wait for a loop, or compile one
        parent.kill()
        parent.communicate(timeout=60)  # the workers have its standard output, too


def test_a_warm_that_is_stopped_does_not_finish_its_loops(folder, monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    some = [next(v for v in variants.all_variants() if v[0].function == name) for name in ("load", "mean_rows")]
    monkeypatch.setattr(variants, "all_variants", lambda: iter(some))  # the second takes three times as long
    warm = cache_warm(processes=2)
    assert next(warm).startswith("load ")
    warm.close()
    assert [name.partition("-")[0] for name in os.listdir(folder)] == ["load"]


def test_warm_reports_loops_that_its_processes_could_not_cache(tmp_path, monkeypatch, two_loops, notices):
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONVFILTER_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert len(list(cache_warm(processes=2))) == 2
    assert len(notices) == 2
    assert "cannot be cached" in notices[1]


# Calls ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tile",
    [np.zeros(4, np.float64), np.zeros(4, np.int32), np.zeros(4, ">f4"), np.zeros(8, np.float32)[::2]],
    ids=["float64", "int32", "big-endian", "strided"],
)
def test_machine_code_never_sees_an_array_of_another_kind(tile):
    premultiply = Loop("load", "premultiply", SIGNATURE).variant(A=np.float32)
    with pytest.raises(TypeError, match="contiguous"):
        premultiply(tile, 4, 1, 2, 2, 255.0)


def test_the_signature_of_a_loop_gives_its_types():
    loop = Loop("some", "loop", "S* i8 A f8* T*")
    assert loop.letters == ["A", "S", "T"]
    assert loop.codes(S=np.uint8, A=np.float32, T=np.uint16) == ("u1*", "i8", "f4", "f8*", "u2*")


def test_every_loop_names_a_function_of_its_module():
    for loop, _types in variants.all_variants():
        assert callable(getattr(import_module(f"convfilter.loops.{loop.module}"), loop.function))
