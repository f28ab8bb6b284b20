"""What a program may be given by mistake or by malice: altered files, values of every kind for every argument."""
