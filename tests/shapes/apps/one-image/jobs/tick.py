import time

print("tick", time.time(), flush=True)
