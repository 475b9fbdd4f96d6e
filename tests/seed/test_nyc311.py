import csv
import io
import json
import threading
from collections import Counter
from datetime import UTC, date, datetime, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from seed.calls import NEW_YORK
from seed.errors import FetchFailed, UnreadableFile
from seed.nyc311 import COLUMNS, fetch_day, read_file, tomorrow

DAY = date(2026, 11, 24)

GOOD = {
    "request_id": "24450001",
    "created_at": "2012-11-20T09:15:30",
    "closed_at": "2012-11-21T00:00:00",
    "complaint_type": "PLUMBING",
    "descriptor": "WATER-LEAKS",
    "location_type": "RESIDENTIAL BUILDING",
    "address": "12 EXAMPLE STREET",
    "city": "BROOKLYN",
    "borough": "BROOKLYN",
    "zip": "11201",
    "lat": "40.693000",
    "lon": "-73.990000",
    "no_access": "1",
}


def file_of(*rows):
    """A file in the format, as bytes; each row is `GOOD` with the given fields changed."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**GOOD, **row} for row in rows)
    return text.getvalue().encode()


def refusals(content):
    return [(refused.line, refused.reason) for refused in read_file(content, moved_to=DAY).refused]


def test_a_good_row_becomes_a_call():
    (call,) = read_file(file_of({}), moved_to=None).calls

    assert call.id == "24450001"
    assert call.called_at == datetime(2012, 11, 20, 14, 15, 30, tzinfo=UTC)
    assert call.service.key == "leak_repair"
    assert (call.lat, call.lon) == (40.693, -73.99)
    assert call.address == "12 Example Street, Brooklyn, NY 11201"
    assert call.borough == "Brooklyn"
    assert call.closed_door


def test_a_moved_call_keeps_its_hour_on_the_wall_clock():
    summer = date(2027, 7, 1)

    (call,) = read_file(file_of({}), moved_to=summer).calls

    assert call.called_at.astimezone(NEW_YORK).time() == time(9, 15, 30)
    assert call.called_at == datetime(2027, 7, 1, 13, 15, 30, tzinfo=UTC)


def test_tomorrow_is_new_yorks_not_greenwichs():
    late_evening_in_new_york = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)

    assert tomorrow(late_evening_in_new_york) == date(2026, 11, 24)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"request_id": ""}, "request_id '' is not a number"),
        ({"created_at": "yesterday"}, "created_at 'yesterday' is not a date and time"),
        ({"created_at": ""}, "created_at '' is not a date and time"),
        ({"created_at": "2012-02-30T10:00:00"}, "created_at '2012-02-30T10:00:00' is not a date and time"),
        ({"created_at": "2012-11-20T09:15:30-05:00"}, "carries an offset"),
        ({"created_at": "1012-11-20T09:15:30"}, "outside the years 2000 to 2100"),
        ({"closed_at": "soon"}, "closed_at 'soon' is not a date and time"),
        ({"complaint_type": "Noise - Residential"}, "no trade answers complaint type 'Noise - Residential'"),
        ({"lat": ""}, "lat is missing"),
        ({"lon": "west"}, "lon 'west' is not a number"),
        ({"lat": "nan"}, "lat nan lies outside New York City"),
        ({"lat": "41.5"}, "lat 41.5 lies outside New York City"),
        ({"lon": "73.99"}, "lon 73.99 lies outside New York City"),
        ({"no_access": "yes"}, "no_access 'yes' is neither 0 nor 1"),
        ({"address": "x" * 501}, "address is longer than 500 characters"),
        ({"address": "1 BROADWAY\0"}, "contains a NUL character"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line_and_reason_and_the_others_are_loaded(fields, reason):
    content = file_of({"request_id": "1"}, fields, {"request_id": "3"})

    loaded = read_file(content, moved_to=DAY)

    assert [call.id for call in loaded.calls] == ["1", "3"]
    (refused,) = loaded.refused
    assert refused.line == 3
    assert reason in refused.reason


def test_a_row_with_too_few_columns_is_refused():
    content = file_of({}) + b"24450002,2012-11-20T10:00:00\n"

    assert refusals(content) == [(3, "has 2 columns instead of 13")]


def test_a_row_that_is_not_utf_8_is_refused():
    content = file_of({}, {"request_id": "2", "address": "CAFE STREET"}).replace(b"CAFE", b"CAF\xc9")

    assert [line for line, _ in refusals(content)] == [3]
    assert "is not UTF-8" in refusals(content)[0][1]


def test_a_quote_that_is_never_closed_spoils_its_own_line_alone():
    content = file_of({}) + b'"24450002,2012-11-20T10:00:00\n' + file_of({"request_id": "4"}).splitlines()[1]

    loaded = read_file(content, moved_to=DAY)

    assert [call.id for call in loaded.calls] == ["24450001", "4"]
    assert [refused.line for refused in loaded.refused] == [3]


def test_a_request_id_that_comes_twice_is_refused_the_second_time():
    content = file_of({}, {"request_id": "2"}, {})

    assert refusals(content) == [(4, "request_id 24450001 was already given in line 2")]


def test_a_refused_row_does_not_take_its_request_id_from_a_good_one():
    content = file_of({"lat": ""}, {})

    loaded = read_file(content, moved_to=DAY)

    assert [call.id for call in loaded.calls] == ["24450001"]
    assert [refused.line for refused in loaded.refused] == [2]


def test_empty_lines_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    content = b"\xef\xbb\xbf" + file_of({}).replace(b"\n", b"\r\n") + b"\r\n"

    assert len(read_file(content, moved_to=DAY).calls) == 1
    assert refusals(content) == []


@pytest.mark.parametrize("content", [b"", b"a,b,c\n1,2,3\n", b"\xff\xfe\x00", b"%PDF-1.7\n"])
def test_a_file_of_another_kind_is_refused_whole(content):
    with pytest.raises(UnreadableFile):
        read_file(content, moved_to=DAY)


@pytest.mark.nyc311
def test_the_real_day_loads_whole_with_its_closed_doors_and_a_service_for_each_call(nyc311_file):
    loaded = read_file(nyc311_file.read_bytes(), moved_to=DAY)

    assert loaded.refused == ()
    assert len(loaded.calls) == 668
    assert sum(call.closed_door for call in loaded.calls) == 111
    assert {call.called_at.astimezone(NEW_YORK).date() for call in loaded.calls} == {DAY}
    assert Counter(call.service.skill for call in loaded.calls) == {
        "heating": 151,
        "street_equipment": 111,
        "plumbing": 107,
        "carpentry": 83,
        "sanitation": 64,
        "painting": 55,
        "tree_care": 49,
        "electric": 48,
    }


RECORD = {
    "unique_key": "24450001",
    "created_date": "2012-11-20T00:00:00.000",
    "closed_date": "2012-11-23T00:00:00.000",
    "complaint_type": "HEATING",
    "descriptor": "HEAT",
    "location_type": "RESIDENTIAL BUILDING",
    "incident_address": "12 EXAMPLE STREET",
    "city": "BRONX",
    "borough": "BRONX",
    "incident_zip": "10467",
    "latitude": "40.87",
    "longitude": "-73.87",
    "resolution_description": "The inspector was not able to gain access to the apartment.",
}


class OpenData:
    """NYC Open Data on this machine: serves `records` page by page, and remembers what was asked."""

    def __init__(self, records):
        self.records = records
        self.body = None
        self.status = 200
        self.asked = []
        data = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                data.asked.append(query)
                offset, limit = int(query["$offset"]), int(query["$limit"])
                page = json.dumps(data.records[offset : offset + limit]).encode()
                self.send_response(data.status)
                self.end_headers()
                self.wfile.write(page if data.body is None else data.body)

            def log_message(self, *_):
                """Tests need no access log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/resource/erm2-nwe9.json"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def open_data():
    data = OpenData([{**RECORD, "unique_key": str(number)} for number in range(1, 6)])
    yield data
    data.close()


def test_a_day_is_fetched_page_by_page(open_data):
    loaded = fetch_day(date(2012, 11, 20), moved_to=DAY, url=open_data.url, page_rows=2)

    assert [call.id for call in loaded.calls] == ["1", "2", "3", "4", "5"]
    assert [query["$offset"] for query in open_data.asked] == ["0", "2", "4"]
    assert "created_date >= '2012-11-20T00:00:00'" in open_data.asked[0]["$where"]
    assert "created_date < '2012-11-21T00:00:00'" in open_data.asked[0]["$where"]
    assert open_data.asked[0]["$order"] == "unique_key"


def test_a_full_last_page_is_followed_by_an_empty_one(open_data):
    loaded = fetch_day(date(2012, 11, 20), moved_to=DAY, url=open_data.url, page_rows=5)

    assert len(loaded.calls) == 5
    assert len(open_data.asked) == 2


@pytest.mark.parametrize(
    ("resolution", "closed_door"),
    [
        ("The inspector was not able to gain access to the apartment.", True),
        ("The department was unable to access the rooms.", True),
        ("An attempt was made but the inspector could not gain access.", True),
        ("The tenant should provide access for the owner to make the repair.", False),
        (None, False),
    ],
)
def test_a_closed_door_is_read_from_the_words_on_how_the_call_ended(open_data, resolution, closed_door):
    open_data.records = [{**RECORD, "resolution_description": resolution}]

    (call,) = fetch_day(date(2012, 11, 20), moved_to=DAY, url=open_data.url).calls

    assert call.closed_door is closed_door


def test_a_fetched_row_without_coordinates_is_refused_and_the_rest_loaded(open_data):
    del open_data.records[1]["latitude"]

    loaded = fetch_day(date(2012, 11, 20), moved_to=DAY, url=open_data.url)

    assert [call.id for call in loaded.calls] == ["1", "3", "4", "5"]
    assert [(refused.line, refused.reason) for refused in loaded.refused] == [(2, "lat is missing")]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (503, b"busy", "answered 503"),
        (200, b"<html>", "not JSON"),
        (200, b'{"error": true}', "not a list of rows"),
        (200, b"[1, 2]", "not a list of rows"),
    ],
)
def test_an_answer_that_makes_no_sense_is_said_to_be_so(open_data, status, body, words):
    open_data.status, open_data.body = status, body

    with pytest.raises(FetchFailed, match=words):
        fetch_day(date(2012, 11, 20), moved_to=DAY, url=open_data.url)


def test_without_a_network_the_message_asks_for_one(open_data):
    open_data.close()

    with pytest.raises(FetchFailed, match="is there a network"):
        fetch_day(date(2012, 11, 20), moved_to=DAY, url=open_data.url)


def test_only_web_addresses_are_fetched():
    with pytest.raises(FetchFailed, match="not an http address"):
        fetch_day(date(2012, 11, 20), moved_to=DAY, url="file:///etc/hostname")
