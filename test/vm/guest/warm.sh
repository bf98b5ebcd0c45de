#!/bin/sh
# Run before the state is saved: the first start of a program reads all of it, later ones do not.
mkcomposefs --version
mount.composefs --help
