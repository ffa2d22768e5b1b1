"""Records of one key lie in one partition, whoever writes them: in Java, by aiokafka, or by batches of ours."""

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.bus.partitioner import murmur2_hashes
from parvis.common.bus.vectorized_murmur2 import vectorized_murmur2


# Of Kafka's own test, clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java.
@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_it_is_the_hash_that_java_computes(key: bytes, signed: int) -> None:
    for count in (1, 100):
        assert murmur2_hashes([key] * count) == [signed & 0x7FFFFFFF] * count


@given(st.lists(st.binary(max_size=60)))
def test_it_is_the_hash_that_aiokafka_computes(keys: list[bytes]) -> None:
    expected = [murmur2(key) & 0x7FFFFFFF for key in keys]
    assert murmur2_hashes(keys) == vectorized_murmur2(keys) == expected
