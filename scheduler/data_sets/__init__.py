"""Data sets: tables of a project that jobs change, version by version.

A version is made by one job and never changes afterwards; the jobs that make versions of one set run one after the other
(`NewJob.serial`). Each column of a version is a file, which the next version has as well unless its job wrote another one.

    changing   makes, describes, deletes and restores sets          preparing   what a node gets when such a job starts
    working    the jobs: create, update, query                      completing  what becomes of the set when one has ended
"""
