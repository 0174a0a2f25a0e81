#!/usr/bin/env python3
"""The programs of the workflow airports. Standard library only, Python >= 3.7.

airports.py split PLACES.csv COUNT FOLDER       write so many parts of the table
airports.py shard MAKER.py PART.csv OUT.kml     make the footprint of a part; that of part 7 works with the third try only
airports.py merge FOLDER OUT.kml                put the placemarks of all footprints into one file
airports.py check PLACES.csv IN.kml             exit 4 unless there is one placemark for each place
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

KML = "http://www.opengis.net/kml/2.2"
STUBBORN, TRIES, TRY_AGAIN = "part-07.csv", 3, 75
BAD_OUTPUT = 4


def main(arguments: list[str]) -> int:
    """Do one of the four and return the exit code."""
    command, *words = arguments
    return {"split": split, "shard": shard, "merge": merge, "check": check}[command](*words)


def split(source: str, count: str, folder: str) -> int:
    """Write the rows of a table in turn to so many parts, each with the heading."""
    heading, *places = rows(source)
    for number in range(int(count)):
        with (Path(folder) / f"part-{number:02}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([heading, *places[number :: int(count)]])
    return 0


def shard(maker: str, part: str, target: str) -> int:
    """Make the footprint of a part. One of them fails twice, to show that only its last try counts."""
    attempt = int(os.environ.get("GANGER_ATTEMPT", TRIES))
    if Path(part).name == STUBBORN and attempt < TRIES:
        sys.stderr.write(f"{STUBBORN}: not with try {attempt}\n")
        return TRY_AGAIN
    return subprocess.run([sys.executable, maker, "make", part, target], check=False).returncode


def merge(folder: str, target: str) -> int:
    """Put the placemarks of all footprints into one file."""
    ET.register_namespace("", KML)
    root = ET.Element(f"{{{KML}}}kml")
    document = ET.SubElement(root, f"{{{KML}}}Document")
    for path in sorted(Path(folder).iterdir()):
        document.extend(ET.parse(path).iter(f"{{{KML}}}Placemark"))  # noqa: S314 - our own files
    ET.ElementTree(root).write(target, encoding="utf-8", xml_declaration=True)
    return 0


def check(source: str, result: str) -> int:
    """Compare the number of placemarks with that of the places."""
    places = len(rows(source)) - 1
    found = sum(1 for _ in ET.parse(result).iter(f"{{{KML}}}Placemark"))  # noqa: S314 - our own file
    print(f"{found} placemarks for {places} places")
    return 0 if found == places else BAD_OUTPUT


def rows(source: str) -> list[list[str]]:
    """Return the lines of a table, the heading first."""
    with Path(source).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
