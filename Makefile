.PHONY: check

# All that has to pass before a commit.
check:
	python -m ruff check .
	python -m pytest
