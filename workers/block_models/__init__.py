"""The program of the built-in job types `blockmodel/create`, `blockmodel/update` and `blockmodel/query`.

It travels with each job, so it is made of the standard library alone and imports nothing of Ganger. It reads a request
(see `request`), brings it to the columns of a block model, and writes the answer as the properties of its results.
A column is one file (see `columns`): an update writes the columns that it changes, and no others. Rows are read and
written in batches, and columns are mapped into memory, so that the memory needed does not grow with the model.
"""
