import json
from dataclasses import fields
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_host.worker import protocol
from durable_host.worker.protocol import (
    Activity,
    ClientCall,
    Decoder,
    Failure,
    HttpRequest,
    Init,
    Log,
    Message,
    NotReady,
    Orchestrator,
    Ready,
    Reply,
    Result,
    encode,
)

# What JSON brings back as it was, so that only what the protocol does is told.
texts = st.text()  # Lone surrogates too, which apps write into messages of exceptions.
numbers = st.integers(-(2**53), 2**53)
pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
names = st.dictionaries(texts, texts, max_size=3)
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts, lambda each: st.lists(each) | names, max_leaves=5
)
payloads = st.binary() | st.just(b"\n") | st.just(b'["Ready",-1,{}]\n')
call = (numbers, texts, texts)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Init, texts, st.just(()), names, texts, texts, st.booleans()),
    st.builds(Orchestrator, *call, payloads),
    st.builds(Activity, *call, payloads),
    st.builds(HttpRequest, *call, texts, texts, pairs, pairs, names, payloads),
    st.builds(Reply, numbers, numbers, payloads),
    st.builds(Ready, st.dictionaries(texts, st.tuples(texts, texts, texts), max_size=3)),
    st.builds(NotReady, texts),
    st.builds(Result, numbers, payloads, st.dictionaries(texts, plain, max_size=3), numbers, pairs),
    st.builds(Failure, numbers, texts, texts, texts),
    st.builds(ClientCall, numbers, texts, texts, payloads),
    st.builds(Log, numbers, texts, texts, st.floats(allow_nan=False)),
)


def shape(message: Message) -> Any:
    """A message's fields with tuples as lists, which is what they are when they have gone over a pipe."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    payload = values.pop("payload", None)
    return type(message), payload, json.loads(json.dumps(values))


@given(st.lists(messages, max_size=4), st.lists(st.integers(0, 400)))
def test_messages_arrive_whole_and_in_their_order_however_the_stream_is_cut(
    sent: list[Message], cuts: list[int]
) -> None:
    stream = b"".join(map(encode, sent))
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder = Decoder()

    received: list[Message] = []
    for start, end in pairwise(places):
        received += decoder.feed(stream[start:end])

    assert list(map(shape, received)) == list(map(shape, sent))


@given(st.lists(messages, min_size=1, max_size=2))
def test_messages_arrive_byte_by_byte_each_with_its_last_byte(sent: list[Message]) -> None:
    decoder = Decoder()

    for message in sent:
        data = encode(message)
        received = [each for number in range(len(data)) for each in decoder.feed(data[number : number + 1])]
        assert list(map(shape, received)) == [shape(message)]


def test_every_kind_of_message_is_tried_here() -> None:
    kinds = set(protocol.Message.__args__)

    assert kinds == {Init, Orchestrator, Activity, HttpRequest, Reply} | {
        *(Ready, NotReady, Result, Failure, ClientCall, Log)
    }


def test_a_large_body_arrives_piece_by_piece() -> None:
    body = bytes(20_000_000)
    data = memoryview(encode(Reply(1, 200, body)))
    decoder = Decoder()

    received = [
        each for at in range(0, len(data), 1 << 16) for each in decoder.feed(bytes(data[at : at + (1 << 16)]))
    ]

    assert received == [Reply(1, 200, body)]


@pytest.mark.parametrize("line", [b"no JSON\n", b'["Nobody",-1]\n', b'["Reply",-1]\n'])
def test_what_is_no_message_is_an_error(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        list(Decoder().feed(line))
