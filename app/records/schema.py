"""The tables of the file ``records.sqlite3``: of all stores that share it."""

from __future__ import annotations

from app.storage.sqlite_file import Migrations

RECORDS = "records.sqlite3"
"""The name of the file in the data folder, and in a backup whatever it was taken from."""

_VERSIONS = """
CREATE TABLE versions (
    kind TEXT NOT NULL, id TEXT NOT NULL, draft INTEGER NOT NULL, digest TEXT NOT NULL,
    at REAL NOT NULL, gone INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (kind, id, draft)
)"""
_BY_DRAFT = "CREATE INDEX versions_by_draft ON versions (kind, draft, id)"
_COURSES = """
CREATE TABLE courses (
    kind TEXT PRIMARY KEY, draft INTEGER NOT NULL, number INTEGER NOT NULL,
    published INTEGER NOT NULL, pruned INTEGER NOT NULL, voids TEXT NOT NULL
)"""
# Apart from the courses: the ids of a large collection are long, and are not written over with
# every step.
_GENERATIONS = """
CREATE TABLE generations (
    kind TEXT PRIMARY KEY, number INTEGER NOT NULL, as_of REAL NOT NULL, rows INTEGER NOT NULL,
    ids TEXT, facts TEXT NOT NULL
)"""
_JOBS = "CREATE TABLE jobs (job TEXT PRIMARY KEY, state TEXT NOT NULL)"
# A cursor is never given twice, also after the newest changes were forgotten.
_CHANGES = """
CREATE TABLE changes (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL,
    draft INTEGER NOT NULL, happened TEXT NOT NULL, at REAL NOT NULL, row BLOB NOT NULL,
    fields TEXT NOT NULL
)"""
# How far each collection has come, also when its changes have been forgotten.
_TOLD = "CREATE TABLE told (kind TEXT PRIMARY KEY, draft INTEGER NOT NULL, id TEXT NOT NULL)"
# A cursor names its log: those of a file that was lost are no cursors of the one after it.
_LOG = "CREATE TABLE log (name TEXT NOT NULL)"
_NAMED = "INSERT INTO log VALUES (lower(hex(randomblob(4))))"
# A point names its row and its field by number: by name it would be more than twice the size.
# ``due``: the day on which points of the row may have to be forgotten.
_REMEMBERED = """
CREATE TABLE remembered (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, due INTEGER,
    UNIQUE (kind, id)
)"""
_DUE = "CREATE INDEX remembered_due ON remembered (due) WHERE due IS NOT NULL"
_FIELDS = "CREATE TABLE fields (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)"
# ``second``: within the slot. ``value`` is a number if it has 64 bits, and text if it has more.
_POINTS = """
CREATE TABLE points (
    row INTEGER NOT NULL, field INTEGER NOT NULL, slot INTEGER NOT NULL,
    second INTEGER NOT NULL, value NOT NULL,
    PRIMARY KEY (row, field, slot)
) WITHOUT ROWID"""
_HISTORY = (_REMEMBERED, _DUE, _FIELDS, _POINTS)

MIGRATIONS: Migrations = (
    (_VERSIONS, _BY_DRAFT, _COURSES, _GENERATIONS, _JOBS, _CHANGES, _TOLD, _LOG, _NAMED, *_HISTORY),
)
