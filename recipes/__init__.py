"""One file a checkpoint, found by its name: `make checkpoints NAME=ddpm-faces` runs ddpm_faces.py."""
