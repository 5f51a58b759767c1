"""One file per outside system: event log, object store, language model, notifications, database."""
