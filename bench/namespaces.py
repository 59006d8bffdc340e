"""Two network namespaces of one machine with a link between them that has a bandwidth and a delay: two machines, as far as a program sees.

Needs root and Linux. Without a delay the link is a pair of `veth` devices, shaped by the kernel (`tbf`). A kernel's own delay (`netem`)
is often not built in; with a delay the link is two `tun` devices, and a process of this file hands packets on when they are due.
"""

import collections
import fcntl
import multiprocessing
import os
import select
import struct
import subprocess
import time

NAMES = ("synfire-a", "synfire-b")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
# Of a packet: large, so that few of them are handed on by Python.
MTU = 60_000
# Bytes that may wait on their way; a packet more is lost, as in a switch.
WAITING = 4 << 20


def run(*command):
    subprocess.run([str(part) for part in command], check=True)


def tun(name):
    """A device whose packets are read and written here, wherever it is moved."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x0001 | 0x1000))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
    return device


def hand_on(devices, rate, delay):
    """Hands packets from each device to the other: `rate` bytes a second, `delay` seconds later."""
    os.nice(-20)
    other = {devices[0]: devices[1], devices[1]: devices[0]}
    under_way = {device: collections.deque() for device in devices}
    sent, waiting = dict.fromkeys(devices, 0.0), dict.fromkeys(devices, 0)
    while True:
        due = [packets[0][0] for packets in under_way.values() if packets]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        readable, _, _ = select.select(devices, [], [], timeout)
        now = time.monotonic()
        for device in readable:
            try:
                while True:
                    packet = os.read(device, MTU + 64)
                    if waiting[device] + len(packet) <= WAITING:
                        waiting[device] += len(packet)
                        sent[device] = max(sent[device], now) + len(packet) / rate
                        under_way[device].append((sent[device] + delay, packet))
            except BlockingIOError:
                pass
        now = time.monotonic()
        for device, packets in under_way.items():
            while packets and packets[0][0] <= now:
                _, packet = packets.popleft()
                waiting[device] -= len(packet)
                os.write(other[device], packet)


class Link:
    """`with Link(rate, delay) as link`: `rate` in bits a second, 0 for as much as there is; `delay` in seconds, each way."""

    def __init__(self, rate=0.0, delay=0.0):
        self.rate, self.delay, self.process = rate, delay, None

    def __enter__(self):
        for name in NAMES:
            run("ip", "netns", "add", name)
        try:
            self.connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def connect(self):
        devices = ("sfa", "sfb")
        if self.delay:
            ends = [tun(device) for device in devices]
        else:
            run("ip", "link", "add", devices[0], "type", "veth", "peer", "name", devices[1])
        for name, device, address in zip(NAMES, devices, ADDRESSES):
            run("ip", "link", "set", device, "netns", name)
            inside = ("ip", "-n", name)
            run(*inside, "addr", "add", f"{address}/24", "dev", device)
            if self.delay:
                run(*inside, "link", "set", device, "mtu", MTU)
            elif self.rate:
                burst = max(64_000, int(self.rate / 8 / 1000))
                shape = ("rate", f"{self.rate:.0f}bit", "burst", burst, "limit", WAITING)
                run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", device, "root", "tbf", *shape)
            for up in (device, "lo"):
                run(*inside, "link", "set", up, "up")
        if self.delay:
            rate = self.rate / 8 or float("inf")
            self.process = multiprocessing.Process(target=hand_on, args=(ends, rate, self.delay), daemon=True)
            self.process.start()
            for end in ends:
                os.close(end)

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.join()
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)

    def mpirun(self):
        """The beginning of a command that starts one process in each of them."""
        agent = os.path.join(os.path.dirname(os.path.abspath(__file__)), "in_namespace.sh")
        hosts = ",".join(ADDRESSES)
        return ["ip", "netns", "exec", NAMES[0], "mpirun", "-n", "2", "--host", hosts, "--mca", "plm_rsh_agent", agent,
                "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "10.77.0.0/24", "--mca", "oob_tcp_if_include", "10.77.0.0/24"]
