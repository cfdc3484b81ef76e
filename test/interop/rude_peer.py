#!/usr/bin/python3
"""A zerorpc peer that breaks the protocol on purpose: proof that the Python peer's judge sees what it should.

    rude_peer.py client ENDPOINT FAULT...  sends requests that have the faults, and waits for nothing
    rude_peer.py serve                     answers each call with the fault its method names, until stdin is closed
"""
import json
import sys
import threading
import uuid

import msgpack
import zmq

pack = msgpack.packb


def event(name, args, to=None, **header):
    header = {'message_id': uuid.uuid4().hex.encode(), 'v': 3, **header}
    if to is not None:
        header['response_to'] = to
    return [{k: v for k, v in header.items() if v is not ...}, name, args]


def rude_requests(fault):
    """The messages of one rude client, each a list of frames."""
    first = event('slow', [0.5])
    opened = first[0]['message_id']
    one = {
        'malformed: bytes': [b'', b'\xc1'],
        'malformed: int keys': [b'', pack(event('echo', [{1: 2}]))],
        'malformed: utf-8': [b'', pack([{'message_id': b'a', 'v': 3}, 'echo', ['@']]).replace(b'@', b'\xff')],
        'malformed: no id': [b'', pack(event('echo', [1], message_id=...))],
        'delimiter': [pack(event('echo', [1]))],
        'version': [b'', pack(event('echo', [1], v=2))],
        'name': [b'', pack(event(b'echo', [1]))],
        'request': [b'', pack(event('echo', 'x'))],
        'trailing bytes': [b'', pack(event('echo', [1])) + pack(event('echo', [2]))],
        'unknown channel': [b'', pack(event('_zpc_more', [1], to=b'nobody'))],
    }
    if fault in one:
        return [one[fault]]
    then = {
        'control burst': [event('_zpc_hb', [0], to=opened) for _ in range(7)],
        'credit exceeded': [event('echo', [1], to=opened)],
        'credit grant': [event('_zpc_more', 100, to=opened)],
        'id type': [event('_zpc_more', [100], to=opened.decode())],
        'message_id reused': [event('_zpc_more', [100], to=opened, message_id=opened)],
        'duplicate channel': [event('echo', [1], message_id=opened)],
    }
    return [[b'', pack(e)] for e in [first, *then[fault]]]


def rude_answers(fault, to):
    """The events with which a rude server answers one call."""
    return {
        'credit exceeded': [event('STREAM', i, to) for i in range(3)] + [event('STREAM_DONE', None, to)],
        'after the end': [event('OK', [1], to), event('_zpc_hb', [0], to)],
        'answer': [event('ERR', ['Error', 'two elements only'], to)],
        'id type': [event('OK', [1], to.decode())],
        'request to a client': [event('OK', [1])],
    }[fault]


def serve(socket):
    socket.bind('tcp://127.0.0.1:*')
    print(json.dumps({'endpoint': socket.getsockopt_string(zmq.LAST_ENDPOINT)}), flush=True)
    while True:
        identity, _, payload = socket.recv_multipart()
        header, name, _ = msgpack.unpackb(payload)
        if 'response_to' not in header:
            for answer in rude_answers(name, header['message_id']):
                socket.send_multipart([identity, b'', pack(answer)])


def main():
    context = zmq.Context.instance()
    if sys.argv[1] == 'serve':
        threading.Thread(target=serve, args=(context.socket(zmq.ROUTER),), daemon=True).start()
        sys.stdin.read()
    else:
        for fault in sys.argv[3:]:
            socket = context.socket(zmq.DEALER)
            socket.linger = 1000
            socket.connect(sys.argv[2])
            for frames in rude_requests(fault):
                socket.send_multipart(frames)
            socket.close()
        context.term()


if __name__ == '__main__':
    main()
