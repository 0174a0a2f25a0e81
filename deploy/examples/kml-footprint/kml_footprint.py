#!/usr/bin/env python3
"""Places in a CSV table become a KML file with one placemark per row. Standard library only, Python >= 3.7.

    kml_footprint.py check PLACES.csv           exit 3 unless every row has a name and coordinates on this earth
    kml_footprint.py make PLACES.csv OUT.kml    write the file; says how far it is
    kml_footprint.py verify PLACES.csv OUT.kml  exit 4 unless there is exactly one placemark per row

The three are the pre-command, the command and the post-command of the job type kml-footprint.
"""

from __future__ import annotations

import csv
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

BAD_INPUT, BAD_OUTPUT = 3, 4
LATITUDE_MAX, LONGITUDE_MAX = 90, 180
PROGRESS_EVERY = 500  # rows
KML = "http://www.opengis.net/kml/2.2"


def main(arguments: list[str]) -> int:
    """Do one of the three and return the exit code."""
    command, files = arguments[0], [Path(argument) for argument in arguments[1:]]
    return {"check": check, "make": make, "verify": verify}[command](*files)


def check(source: Path) -> int:
    """Find out before the work begins that the table is one."""
    count = 0
    for number, row in enumerate(rows(source), start=2):
        try:
            latitude, longitude = position(row)
        except (KeyError, TypeError, ValueError):
            return complain(BAD_INPUT, f"{source.name}, line {number}: no latitude and longitude")
        if not (row.get("name") and abs(latitude) <= LATITUDE_MAX and abs(longitude) <= LONGITUDE_MAX):
            return complain(BAD_INPUT, f"{source.name}, line {number}: no name, or coordinates not on this earth")
        count += 1
    if count == 0:
        return complain(BAD_INPUT, f"{source.name} holds no places")
    print(f"{count} places to go")
    return 0


def make(source: Path, target: Path) -> int:
    """Write one placemark per row, and around them the region they cover: their footprint."""
    places = list(rows(source))
    with target.open("w", encoding="utf-8") as file:
        file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="{KML}"><Document>\n')
        file.write(f"<name>{len(places)} places</name>\n{region(places)}\n")
        for number, row in enumerate(places, start=1):
            file.write(placemark(row))
            if number % PROGRESS_EVERY == 0 or number == len(places):
                print(f"GANGER_PROGRESS {100 * number // len(places)} {number} placemarks", flush=True)
        file.write("</Document></kml>\n")
    return 0


def verify(source: Path, target: Path) -> int:
    """Read back what was written, and leave the count as an output."""
    wanted = sum(1 for _ in rows(source))
    found = sum(1 for _ in ET.parse(target).getroot().iter(f"{{{KML}}}Placemark"))  # noqa: S314 - written a moment ago
    if found != wanted:
        return complain(BAD_OUTPUT, f"{found} placemarks for {wanted} rows")
    results = {"properties": {"placemarks": found}, "message": f"{found} placemarks"}
    target.with_name("results.json").write_text(json.dumps(results), encoding="utf-8")
    print(f"{found} placemarks, as many as rows")
    return 0


def rows(source: Path) -> Iterator[dict[str, str]]:
    """Yield the table's rows by column name."""
    with source.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def position(row: dict[str, str]) -> tuple[float, float]:
    """Return latitude and longitude. Raises KeyError, TypeError or ValueError where there is none."""
    return float(row["latitude"]), float(row["longitude"])


def region(places: list[dict[str, str]]) -> str:
    """Return the box that holds all places."""
    latitudes = [position(row)[0] for row in places]
    longitudes = [position(row)[1] for row in places]
    north_south = f"<north>{max(latitudes)}</north><south>{min(latitudes)}</south>"
    east_west = f"<east>{max(longitudes)}</east><west>{min(longitudes)}</west>"
    return f"<Region><LatLonAltBox>{north_south}{east_west}</LatLonAltBox></Region>"


def placemark(row: dict[str, str]) -> str:
    """Return one place."""
    latitude, longitude = position(row)
    where = ", ".join(text for text in (row.get("city"), row.get("state"), row.get("country")) if text)
    name = f"{row['name']} ({row['iata']})" if row.get("iata") else row["name"]
    point = f"<Point><coordinates>{longitude},{latitude}</coordinates></Point>"
    return f"<Placemark><name>{escape(name)}</name><description>{escape(where)}</description>{point}</Placemark>\n"


def complain(code: int, sentence: str) -> int:
    """Say what is wrong and return the exit code for it."""
    print(sentence, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
