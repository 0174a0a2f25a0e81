"""`python -m ganger`: the command `ganger` of the interpreter that is named, whatever is on the PATH."""

from ganger.cli import main

if __name__ == "__main__":
    main()
