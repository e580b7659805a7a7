"""The fixture `hostile`: start any number of peers in a test; they stop when it ends."""

import contextlib

import pytest

import hostile as peers


@pytest.fixture
def hostile():
    """`hostile("ResetMidBody")` starts that peer and returns it."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(peers.Peer.behaviours[name]())
