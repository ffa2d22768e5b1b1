"""Facts about what a person at a terminal reads."""

import io

from parvis.local.console import Console


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_line_has_the_name_of_who_said_it_and_all_begin_in_one_column():
    stream = io.StringIO()
    console = Console(["ingest-sms", "router"], stream=stream)
    console.prefixed_writer("router")("rules.loaded")
    console.prefixed_writer("ingest-sms")("service.started")
    console.print_line("hello")
    assert stream.getvalue().splitlines() == [
        "router     | rules.loaded",
        "ingest-sms | service.started",
        "parvis     | hello",
    ]


def test_a_line_for_programs_has_nothing_before_it():
    stream = io.StringIO()
    Console(["router"], stream=stream).plain("ready")
    assert stream.getvalue() == "ready\n"


def test_a_terminal_gets_a_colour_a_name():
    stream = Terminal()
    console = Console(["desk", "router"], stream=stream)
    console.prefixed_writer("desk")("one")
    console.prefixed_writer("router")("two")
    one, two = stream.getvalue().splitlines()
    assert one.startswith("\x1b[")
    assert one[:5] != two[:5]


def test_a_reader_that_has_gone_stops_nobody():
    stream = io.StringIO()
    console = Console([], stream=stream)
    stream.close()
    console.print_line("into the void")
