"""Object files linked by this package, compared with LLVM's linker."""

import ctypes
import math
import platform
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convfilter.native import image
from convfilter.native.object_code import target_machine

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="elsewhere LLVM links and loads"
)

#: A table, a pointer to it that must be moved with the image, a switch, a variable of the process's, and calls.
CODE = """
@table = internal constant [4 x double] [double 1.5, double 2.5, double -3.0, double 1.0e9]
@shown = constant [4 x double]* @table
@state = common global i64 0
declare double @exp(double)
declare double @erf(double)
define double @chosen(i64 %n) {
  switch i64 %n, label %other [ i64 0, label %a  i64 1, label %b  i64 2, label %c  i64 3, label %d
                                i64 4, label %e  i64 5, label %f ]
a: ret double 10.0
b: ret double 20.0
c:
  %up = call double @exp(double 1.0)
  ret double %up
d:
  %s = call double @erf(double 0.5)
  ret double %s
e:
  %held = load [4 x double]*, [4 x double]** @shown
  %at = getelementptr [4 x double], [4 x double]* %held, i64 0, i64 3
  %v = load double, double* %at
  ret double %v
f:
  %m = call double @helper(i64 2)
  ret double %m
other:
  ret double -1.0
}
define double @helper(i64 %n) noinline {
  %at = getelementptr [4 x double], [4 x double]* @table, i64 0, i64 %n
  %v = load double, double* %at
  ret double %v
}
define i64 @kept() {
  %old = load i64, i64* @state
  ret i64 %old
}
"""
ENTRIES = ("chosen", "helper", "kept")


def emitted(code=CODE, **options):
    machine = target_machine(opt=3, reloc="pic", codemodel="jitdefault", jit=True, **options)
    return machine.emit_object(llvm.parse_assembly(code))


@pytest.fixture(scope="module")
def code():
    return emitted()


def address_of(name):
    return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value


def loaded(linked):
    memory, addresses = image.load(linked, address_of)
    chosen = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)
    return memory, chosen(addresses[0]), chosen(addresses[1]), ctypes.CFUNCTYPE(ctypes.c_int64)(addresses[2])


def test_linked_code_computes_what_it_says(code):
    linked = image.link(code, ENTRIES)
    assert {name for _, name in linked.imports} == {"exp", "erf"}
    _memory, chosen, helper, kept = loaded(linked)
    expected = [10.0, 20.0, math.e, math.erf(0.5), 1e9, -3.0, -1.0]
    assert [chosen(n) for n in range(7)] == pytest.approx(expected, rel=1e-15)
    assert [helper(n) for n in range(4)] == [1.5, 2.5, -3.0, 1e9]
    assert kept() == 0


def test_two_images_lie_at_places_of_their_own(code):
    linked = image.link(code, ENTRIES)
    first, second = loaded(linked), loaded(linked)
    assert first[1](4) == second[1](4) == 1e9


def test_bytes_of_an_image_give_it_back(code):
    linked = image.link(code, ENTRIES)
    assert image.unpacked(image.packed(linked)) == linked
    alone = image.link(emitted("define i64 @one() { ret i64 1 }"), ("one",))
    assert image.unpacked(image.packed(alone)) == alone
    assert image.unpacked(code) is None


def test_no_memory_is_writable_and_executable(code):
    _memory, chosen, _, _ = loaded(image.link(code, ENTRIES))
    address = ctypes.cast(chosen, ctypes.c_void_p).value
    for line in Path("/proc/self/maps").read_text().splitlines():
        places, rights, *_ = line.split()
        first, last = (int(place, 16) for place in places.split("-"))
        if first <= address < last:
            assert rights == "r-xp"
            return
    pytest.fail("the code is in no mapping")


def test_code_for_another_processor_is_left_to_llvm():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    other = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(reloc="pic")
    assert image.link(other.emit_object(llvm.parse_assembly(CODE)), ENTRIES) is None


@pytest.mark.parametrize("model", ["small", "medium"])
def test_relocations_of_another_code_model_are_left_to_llvm(model):
    machine = target_machine(opt=3, reloc="pic", codemodel=model)
    assert image.link(machine.emit_object(llvm.parse_assembly(CODE)), ENTRIES) is None


def test_unknown_symbols_are_left_to_llvm(code):
    assert image.link(code, ("chosen", "nowhere")) is None


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_damaged_object_files_are_linked_or_refused(place, value, cut):
    code = emitted()
    damaged = code[: place % len(code)] if cut else bytearray(code)
    if not cut:
        damaged[place % len(code)] = value
    linked = image.link(bytes(damaged), ENTRIES)
    assert linked is None or len(linked.content) < 2**24
