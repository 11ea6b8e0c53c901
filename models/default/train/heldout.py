"""The text that hy eval is checked on: stories of unseen combinations, told with unseen sentences here and there.

    python3 heldout.py > ../../../tests/data/held-out.txt
"""
import random

import corpus

print(corpus.plain(random.Random("held-out text"), new=True, n=6), end="")
