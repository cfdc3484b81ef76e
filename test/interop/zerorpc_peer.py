#!/usr/bin/python3
"""A zerorpc v3 peer in Python, on zmq and msgpack alone, to talk to zask and to tell on it.

    zerorpc_peer.py serve  --bind tcp://127.0.0.1:*     serves `Service` until stdin is closed
    zerorpc_peer.py script --connect ENDPOINT           runs the steps of a JSON list read from stdin

Both print JSON lines, violations of the protocol among them. Values JSON lacks are tagged:
{"$bytes": hex}, {"$int": digits} beyond 53 bits, {"$float": text}.
"""
import argparse
import hashlib
import inspect
import json
import sys
import threading
import time

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
from zerorpc_wire import Channel, LostRemote, Peer, TimeoutExpired, running  # noqa: E402


class Service:
    """What `serve` offers."""

    def add(self, a, b=1):
        """Add two numbers.

        b defaults to 1.
        """
        return a + b

    def echo(self, x):
        return x

    def kind(self, x):
        return [type(x).__name__, repr(x)]

    def fail(self, message):
        raise ValueError(message)

    def unserializable(self):
        return object()

    def slow(self, seconds):
        channel, end = running.channel, time.monotonic() + seconds
        with channel.peer.lock:
            channel.ready.wait_for(lambda: channel.failure, end - time.monotonic())
        if channel.failure:
            raise channel.failure
        return seconds

    def stream(self, n):
        yield from range(n)

    def slow_stream(self, n, seconds):
        for i in range(n):
            yield i
            self.slow(seconds)

    def empty_stream(self):
        yield from ()

    def stream_values(self):
        yield from (None, [], [1, 2], {'k': 'v'}, 'str', b'bin', 0, False)

    def stream_error(self, n):
        yield from range(n)
        raise ValueError('stream broke after %d' % n)

    def stats(self):
        peer = running.peer
        with peer.lock:
            return {'open': len(peer.channels) - 1, 'violations': len(peer.violations),
                    'header_keys': sorted(peer.header_keys),
                    **{name: peer.counts[name] for name in ('calls', 'cut', 'late', 'lost')}}


def methods_of(service, name):
    """The method table with the six built-ins, in zerorpc-python's shapes (`self` is listed)."""
    public = {n: m for n, m in inspect.getmembers(service, callable) if not n.startswith('_')}

    def args_of(method):
        spec = inspect.getfullargspec(public[method])
        return [spec.args, spec.varargs, spec.varkw, spec.defaults and list(spec.defaults)]

    def describe(method):
        names, _, _, defaults = args_of(method)
        args = [{'name': n} for n in names]
        for arg, default in zip(args[len(args) - len(defaults or ()):], defaults or ()):
            arg['default'] = default
        return {'args': args, 'doc': inspect.getdoc(public[method])}

    return {**public, '_zerorpc_ping': lambda: ['pong', name], '_zerorpc_name': lambda: name,
            '_zerorpc_list': lambda: list(public), '_zerorpc_args': args_of,
            '_zerorpc_help': lambda method: inspect.getdoc(public[method]),
            '_zerorpc_inspect': lambda: {'name': name, 'methods': {m: describe(m) for m in public}}}


def tag(value):
    if isinstance(value, bytes):
        return {'$bytes': value.hex()}
    if isinstance(value, float):
        return {'$float': repr(value)}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2 ** 53:
        return {'$int': str(value)}
    if isinstance(value, (list, tuple)):
        return [tag(item) for item in value]
    if isinstance(value, dict):
        return {k if isinstance(k, str) else repr(k): tag(v) for k, v in value.items()}
    return value if isinstance(value, (str, int, type(None))) else {'$other': repr(value)}


def untag(pairs):
    readers = {'$bytes': bytes.fromhex, '$float': float, '$int': int}
    if len(pairs) == 1 and pairs[0][0] in readers:
        return readers[pairs[0][0]](pairs[0][1])
    return dict(pairs)


def call(peer, step, args):
    """One call: a value, an error triple, or the count and hash (sha256 of JSON lines) of the items of a stream."""
    channel, how = Channel(peer, [], slots=step.get('slots', 100)), 'dropped'
    try:
        if step.get('beat_first'):
            channel.emit('_zpc_hb', [0])
        channel.emit(step['call'], args, step.get('headers'))
        _, name, value = channel.recv(step.get('timeout', 30))
        if name == 'OK':
            return {'value': tag(value[0])}
        if name == 'ERR':
            return {'error': value}
        if name not in ('STREAM', 'STREAM_DONE'):
            raise RuntimeError('Unable to find a pattern for: %r' % (name,))
        items, error = [], None
        while name == 'STREAM':
            items.append(tag(value))
            if len(items) == step.get('take'):
                break
            time.sleep(step.get('delay', 0))
            _, name, value = channel.recv()
        if name not in ('STREAM', 'STREAM_DONE'):
            error = value
        lines = '\n'.join(json.dumps(item, separators=(',', ':')) for item in items)
        return {'count': len(items), 'hash': hashlib.sha256(lines.encode()).hexdigest(), 'head': items[:10],
                'terminal': name, **({'error': error} if error else {})}
    except (LostRemote, TimeoutExpired, RuntimeError) as error:
        return {'failed': [type(error).__name__, str(error)]}
    finally:
        peer.close(channel, how)


def run_step(peer, step):
    if 'wait' in step:
        time.sleep(step['wait'])
        return {}
    if 'burst' not in step:
        return call(peer, step, step.get('args', []))
    results = [None] * step['burst']

    def one(i):
        results[i] = call(peer, step, [*step.get('args', []), i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {'results': results}


def tell(line):
    print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('mode', choices=['serve', 'script'])
    parser.add_argument('--bind', default='tcp://127.0.0.1:*')
    parser.add_argument('--connect')
    parser.add_argument('--heartbeat', default='5', help='seconds, or none')
    parser.add_argument('--passive', action='store_true', help='beat only once the peer has')
    parser.add_argument('--ids', choices=['bin', 'str', 'int'], default='bin')
    parser.add_argument('--curve', type=json.loads, help='JSON: publicKey, secretKey, serverKey or allow')
    options = parser.parse_args()
    heartbeat = None if options.heartbeat == 'none' else float(options.heartbeat)
    if options.mode == 'serve':
        peer = Peer(options.bind, methods_of(Service(), 'Service'), heartbeat, options.passive, options.ids, tell,
                    options.curve)
        tell({'endpoint': peer.endpoint})
        sys.stdin.read()
        peer.stop()
    else:
        steps = json.load(sys.stdin, object_pairs_hook=untag)
        peer = Peer(options.connect, None, heartbeat, options.passive, options.ids, curve=options.curve)
        for number, step in enumerate(steps):
            known, start = len(peer.violations), time.monotonic()
            result = run_step(peer, step)
            tell({'step': number, **result, 'elapsed': round(time.monotonic() - start, 3),
                  'violations': peer.violations[known:]})
        time.sleep(1.2 * heartbeat if heartbeat and heartbeat < 1 else 0.1)  # what comes after the end shows up here
        peer.stop()
    tell({'end': True, 'violations': peer.violations, 'late': peer.counts['late'], 'open': len(peer.channels),
          'lost': peer.counts['lost']})


if __name__ == '__main__':
    main()
