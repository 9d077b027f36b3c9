import os, time, threading
L = []
ns = time.monotonic_ns
P = 0
def mark(label):
    global P
    L.append((ns(), label))
    if P != os.getpid():
        P = os.getpid()
        del L[:-1]
        threading.Thread(target=loop, daemon=True).start()
def loop():
    while True:
        time.sleep(5)
        with open(f"/tmp/tr/{os.getpid()}", "w") as f:
            for t, l in L: f.write(f"{t} {os.getpid()} {l}\n")
