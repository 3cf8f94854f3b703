"""Contenders timed side by side, each in a process of its own.

    case       what is timed: shapes, mode, precision, execution
    rows       the batches, as NumPy arrays
    weights    the same first weights for every contender, by name
    contenders one file each
    worker     a process that holds one contender and runs rounds when told
    memory_worker  a process that holds one classifier and measures it
    rounds     starts the workers and lets them take turns
    report     medians, the table and the JSON file
    machine    what all of it ran on
"""
