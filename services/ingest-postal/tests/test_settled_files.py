"""Facts about settled and overdue files."""

from datetime import UTC, datetime, timedelta

from parvis.ingest_postal.ports.drop_box import FileFingerprint, WaitingScan
from parvis.ingest_postal.receive.settled_files import SettledFiles

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def a_file(
    *,
    size_bytes: int = 100,
    modified_ns: int = 1,
    inode: int = 7,
    name: str = "scan.pdf",
    since: datetime | None = None,
) -> WaitingScan:
    return WaitingScan(name, FileFingerprint(size_bytes, modified_ns, f"1:{inode}"), since)


def a_watch() -> SettledFiles:
    return SettledFiles(settle_s=10, patience_s=900)


def poll(watch: SettledFiles, file: WaitingScan, clock_s: float) -> bool:
    watch.update([file], at=AT + timedelta(seconds=clock_s), clock_s=clock_s)
    return watch.settled([file], clock_s=clock_s) == [file]


def test_a_file_is_settled_when_two_polls_see_the_same():
    watch = a_watch()

    assert [poll(watch, a_file(), clock_s) for clock_s in (0, 2, 9.9, 10)] == [False, False, False, True]


def test_a_scanner_that_writes_a_byte_a_second_is_waited_for():
    watch = a_watch()

    assert not any(poll(watch, a_file(size_bytes=clock_s), clock_s) for clock_s in range(60))
    assert poll(watch, a_file(size_bytes=59), 69)


def test_a_file_that_keeps_its_size_but_not_its_time_is_not_settled():
    watch = a_watch()

    assert not poll(watch, a_file(modified_ns=1), 0)
    assert not poll(watch, a_file(modified_ns=2), 10)


def test_the_first_sighting_is_when_the_letter_was_received():
    watch = a_watch()
    poll(watch, a_file(size_bytes=1), 5)
    poll(watch, a_file(size_bytes=2), 8)

    assert watch.first_seen_at(a_file()) == AT + timedelta(seconds=5)


def test_another_file_of_the_same_name_was_received_later():
    watch = a_watch()
    poll(watch, a_file(inode=7), 5)
    poll(watch, a_file(inode=8), 6)

    assert watch.first_seen_at(a_file()) == AT + timedelta(seconds=6)


def test_a_file_with_a_fault_is_overdue_only_when_it_no_longer_changes():
    watch = a_watch()
    file = a_file()
    poll(watch, file, 0)
    watch.mark_faulty(file, "the end of the PDF is missing")

    assert not poll(watch, file, 20)
    assert watch.overdue([file], clock_s=899) == []
    assert watch.overdue([file], clock_s=900) == [(file, "the end of the PDF is missing")]


def test_a_file_that_changes_after_a_fault_has_a_new_chance():
    watch = a_watch()
    poll(watch, a_file(), 0)
    watch.mark_faulty(a_file(), "the end of the PDF is missing")
    finished = a_file(size_bytes=200)

    assert not poll(watch, finished, 20)
    assert poll(watch, finished, 30)
    assert watch.overdue([finished], clock_s=900) == []


def test_a_file_that_is_gone_is_forgotten():
    watch = a_watch()
    poll(watch, a_file(), 0)
    watch.update([], at=AT, clock_s=1)

    assert watch.oldest_age_s(AT + timedelta(hours=1)) == 0


def test_a_restart_does_not_make_a_letter_younger():
    watch = a_watch()
    file = a_file(since=AT - timedelta(hours=2))
    poll(watch, file, 0)

    assert watch.first_seen_at(file) == AT - timedelta(hours=2)


def test_a_share_with_a_fast_clock_gives_no_future_date():
    watch = a_watch()
    file = a_file(since=AT + timedelta(hours=2))
    poll(watch, file, 0)

    assert watch.first_seen_at(file) == AT


def test_an_unreadable_file_is_tried_again_for_the_whole_patience():
    watch = a_watch()
    file = a_file()
    poll(watch, file, 0)
    watch.mark_unreadable(file, "the file cannot be read: Stale file handle", clock_s=2000)

    assert not poll(watch, file, 2010)
    assert poll(watch, file, 2030)
    watch.mark_unreadable(file, "the file cannot be read: Stale file handle", clock_s=2030)
    assert watch.overdue([file], clock_s=2899) == []
    assert watch.overdue([file], clock_s=2900) == [(file, "the file cannot be read: Stale file handle")]
