"""What our Parquet writer writes, Arrow reads back: every type, null, border and encoding."""

from __future__ import annotations

import hashlib
import struct

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.archive import parquet
from forensics.archive.choices import CHOICES, Choice
from forensics.archive.parquet import ParquetFile
from forensics.archive.thrift import binary, flag, i32, i64, listed
from forensics.archive.thrift import struct as thrift_struct
from forensics.schemas import TABLES

TEXT = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("ns", tz="UTC")
KINDS = {
    "u8": (pa.uint8(), st.integers(0, 2**8 - 1)),
    "u16": (pa.uint16(), st.integers(0, 2**16 - 1)),
    "u32": (pa.uint32(), st.integers(0, 2**32 - 1)),
    "u64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "i64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "time": (TIME, st.integers(-(2**63), 2**63 - 1)),
    "flag": (pa.bool_(), st.booleans()),
    "text": (TEXT, st.text(max_size=9)),
}
CHOSEN = st.builds(Choice, st.booleans(), st.booleans(), st.booleans(), st.booleans())


def schema_of(*fields):
    return pa.schema(fields, metadata={"table": "made"})


def arrow(kind, values):
    if kind == TEXT:
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)


def write(path, schema, batches, choices):
    file = ParquetFile(path, schema, choices)
    for batch in batches:
        file.write(batch)
    file.close()
    return pq.read_table(path)


def plain(table):
    """Dictionaries as strings: which code a string has is no content."""
    return [
        column.cast(pa.string()).to_pylist() if column.type == TEXT else column.to_pylist()
        for column in table.columns
    ]


@st.composite
def written(draw):
    """A schema, its batches (some of them slices) and the choices of its columns."""
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True))
    optional = {name: draw(st.booleans()) for name in names}
    schema = schema_of(*(pa.field(n, KINDS[n][0], nullable=optional[n]) for n in names))
    choices = {}
    for name in names:
        choice = draw(CHOSEN)
        if name in ("flag", "text") or optional[name]:
            choice = choice._replace(pruned=False)
        choices[name] = choice
    batches = []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 40))
        arrays = []
        for name in names:
            kind, values = KINDS[name]
            if draw(st.booleans()):
                values = st.just(draw(values))
            if optional[name]:
                values = st.none() if draw(st.booleans()) else values | st.none()
            drawn = draw(st.lists(values, min_size=count, max_size=count))
            arrays.append(arrow(kind, drawn))
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        batches.append(batch.slice(draw(st.integers(0, count - 1))))
    return schema, batches, choices


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(made=written(), page_rows=st.sampled_from([8, 16, 2**16]))
def test_what_is_written_is_read_back(tmp_path, monkeypatch, made, page_rows):
    schema, batches, choices = made
    monkeypatch.setattr(parquet, "PAGE_ROWS", page_rows)
    back = write(tmp_path / "a.parquet", schema, batches, choices)
    assert back.schema.equals(schema, check_metadata=True)
    assert plain(back) == plain(pa.Table.from_batches(batches).unify_dictionaries())


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int64(), [0, 2**63 - 1, -(2**63), 2**63 - 1, 5] * 40),
        (pa.uint32(), [0, 2**32 - 1, 2**31, 2**31 - 1] * 50),
        (pa.uint64(), [2**64 - 1, 0, 2**63] * 60),
        (pa.int64(), list(range(1000))),
        (pa.uint32(), [7] * 1000),
        (pa.uint32(), [number * 2**20 % 2**32 for number in range(129)]),
        (TIME, [10**18 + number**3 for number in range(500)]),
    ],
)
def test_differences_wrap_and_fill_blocks(tmp_path, kind, values):
    """Every number of values around the borders of blocks (128) and miniblocks (32)."""
    schema = schema_of(pa.field("n", kind, nullable=False))
    for count in {1, 2, 31, 32, 33, 34, 127, 128, 129, 130, len(values)}:
        made = pa.array(values[:count], kind)
        batch = pa.RecordBatch.from_arrays([made], schema=schema)
        back = write(tmp_path / "a.parquet", schema, [batch], {"n": Choice(running=True)})
        assert back["n"].combine_chunks().equals(made)
    chunk = pq.read_metadata(tmp_path / "a.parquet").row_group(0).column(0)
    assert "DELTA_BINARY_PACKED" in chunk.encodings


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 255, 257, 70_000])
def test_codes_of_every_width(tmp_path, count):
    schema = schema_of(pa.field("t", TEXT, nullable=False))
    values = [f"name {number}" for number in range(count)] + ["name 0"]
    batch = pa.RecordBatch.from_arrays([arrow(TEXT, values)], schema=schema)
    back = write(tmp_path / "a.parquet", schema, [batch], {})
    assert plain(back) == [values]
    assert back.schema.field("t").type == TEXT


def test_a_long_text_and_many_short_ones_find_room(tmp_path):
    schema = schema_of(pa.field("t", TEXT), pa.field("p", TEXT))
    values = ["x" * 3_000_000, None, "", "ü" * 700_000] + ["y"] * 70_000
    column = arrow(TEXT, values)
    batch = pa.RecordBatch.from_arrays([column, column], schema=schema)
    back = write(tmp_path / "a.parquet", schema, [batch], {"p": Choice(plain=True)})
    assert plain(back) == [values, values]


def test_statistics_let_readers_skip_row_groups(tmp_path):
    schema = schema_of(
        pa.field("u", pa.uint64(), nullable=False), pa.field("t", TIME, nullable=False)
    )
    batches = [
        pa.RecordBatch.from_arrays(
            [pa.array([2**63 + low, low], pa.uint64()), pa.array([-low, low], TIME)],
            schema=schema,
        )
        for low in (1, 100)
    ]
    pruned = Choice(running=True, pruned=True)
    write(tmp_path / "a.parquet", schema, batches, {"u": pruned, "t": pruned})
    groups = [pq.read_metadata(tmp_path / "a.parquet").row_group(n) for n in (0, 1)]
    kept = [group.column(0).statistics for group in groups]
    assert [(one.min, one.max) for one in kept] == [(1, 2**63 + 1), (100, 2**63 + 100)]
    wanted = pc.field("u") == pa.scalar(100, pa.uint64())
    back = pq.read_table(tmp_path / "a.parquet", filters=wanted)
    assert back["u"].to_pylist() == [100]
    assert groups[1].column(1).statistics.min.value == -100


def test_no_row_group_and_an_all_null_group(tmp_path):
    schema = schema_of(pa.field("t", TEXT), pa.field("n", pa.uint16()))
    assert write(tmp_path / "a.parquet", schema, [], {}).num_rows == 0
    nothing = pa.RecordBatch.from_arrays(
        [arrow(TEXT, [None, None]), pa.array([None, None], pa.uint16())], schema=schema
    )
    assert plain(write(tmp_path / "a.parquet", schema, [nothing], {})) == [[None, None]] * 2


def test_bytes_depend_on_the_rows_alone(tmp_path):
    schema = schema_of(pa.field("a", pa.bool_()), pa.field("t", TEXT))
    values = [[True, None, False] * 5, ["a", None, "b"] * 5]
    digests = set()
    for offset in (0, 3, 8):
        padded = [[True] * offset + values[0], ["a"] * offset + values[1]]
        arrays = [pa.array(padded[0], pa.bool_()), arrow(TEXT, padded[1])]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema).slice(offset)
        write(tmp_path / "a.parquet", schema, [batch], {})
        digests.add(hashlib.sha256((tmp_path / "a.parquet").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_what_cannot_be_written_is_refused(tmp_path):
    required = schema_of(pa.field("n", pa.uint16(), nullable=False))
    file = ParquetFile(tmp_path / "a.parquet", required, {})
    with pytest.raises(ValueError, match="another schema"):
        file.write(pa.RecordBatch.from_arrays([pa.array([1])], ["n"]))
    holes = pa.RecordBatch.from_arrays([pa.array([1, None], pa.uint16())], schema=required)
    with pytest.raises(ValueError, match="column n has nulls"):
        file.write(holes)
    file.abandon()
    for kind in (pa.list_(pa.uint8()), pa.binary(), pa.int32(), pa.timestamp("us")):
        with pytest.raises(TypeError, match="is not written here"):
            ParquetFile(tmp_path / "a.parquet", schema_of(pa.field("n", kind)), {})


@pytest.mark.parametrize("choice", [Choice(), Choice(plain=True)])
def test_a_code_outside_its_dictionary_reads_nothing(tmp_path, choice):
    schema = schema_of(pa.field("t", TEXT, nullable=False))
    codes = pa.py_buffer(struct.pack("<3i", 0, 5, -1))
    column = pa.DictionaryArray.from_buffers(TEXT, 3, [None, codes], pa.array(["only"]), 0)
    file = ParquetFile(tmp_path / "a.parquet", schema, {"t": choice})
    with pytest.raises(ValueError, match="not in its dictionary"):
        file.write(pa.RecordBatch.from_arrays([column], schema=schema))
    file.abandon()


def test_choices_name_columns_of_their_tables():
    schemas = dict(TABLES)
    for name, choices in CHOICES.items():
        assert set(choices) <= set(schemas[name].names)
        for column, choice in choices.items():
            assert not (choice.pruned and schemas[name].field(column).nullable), column


def test_compact_protocol_by_hand():
    """Octets written by hand from the specification of the compact protocol."""
    assert i32(-1).octets == b"\x01"
    assert i64(150).octets == b"\xac\x02"
    assert binary("ü").octets == b"\x02\xc3\xbc"
    assert listed([i32(1), i32(2)]).octets == b"\x25\x02\x04"
    assert listed(i32(0) for _ in range(15)).octets == b"\xf5\x0f" + bytes(15)
    assert thrift_struct({1: flag(True), 3: flag(False), 20: i32(1)}).octets == (
        b"\x11\x22\x05\x28\x02\x00"
    )
    assert thrift_struct({1: None, 2: binary(b"")}).octets == b"\x28\x00\x00"
