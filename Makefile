# A convenience: each target is one line, and `python -m tools.…` says the same on any system.
PYTHON ?= python3
PORT ?= 8888

.PHONY: lab reset test run notebooks publish faces checkpoints bench

lab:          # JupyterLab with a notebook open (NOTEBOOK=00, PORT=8888)
	@$(PYTHON) -m tools.lab $(NOTEBOOK) --port $(PORT)

reset:        # a session's notebooks in work/ anew; yours are put aside (NOTEBOOK=07)
	@$(PYTHON) -m tools.reset $(NOTEBOOK)

test:         # everything that CI runs
	@$(PYTHON) -m tools.test

run:          # execute a notebook into build/ (NOTEBOOK=00)
	@$(PYTHON) -m tools.run $(NOTEBOOK)

notebooks:    # build what changed in notebooks/source (NOTEBOOK=00 for one)
	@$(PYTHON) -m tools.notebooks $(NOTEBOOK)

publish:      # stamp the address of your copy (its git remote) into badges and set-up cells
	@$(PYTHON) -m tools.publish

faces:        # draw data/faces.parquet again
	@$(PYTHON) -m tools.faces

checkpoints:  # train a model again (NAME=ddpm-faces)
	@$(PYTHON) -m tools.checkpoints $(NAME)

bench:        # this project beside its peers (five to nine hours; resumes after a kill)
	@$(PYTHON) -m tools.bench
