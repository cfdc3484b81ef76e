"""The wire half of the Python peer: zerorpc v3 channels over one ZeroMQ socket, as zerorpc-python does them.

What zerorpc-python would drop in silence, or be killed by, is handled as it handles it and is also reported as a
violation of the protocol; a session between two sound peers reports none.
"""
import collections
import heapq
import inspect
import itertools
import os
import threading
import time
import traceback
import uuid

import msgpack
import zmq

CONTROL = ('_zpc_hb', '_zpc_more')
TERMINAL = ('OK', 'ERR', 'STREAM_DONE')
BURST = 6  # more control events than this back to back, and a closing channel wedges zerorpc-python's dispatcher
CROSSING = 2.0  # seconds within which a client's control event may have crossed our terminal event on the wire
running = threading.local()


class LostRemote(Exception):
    pass


class TimeoutExpired(Exception):
    pass


class Channel:
    """One conversation: credit both ways, heartbeat, and the events the reader has not taken yet."""

    def __init__(self, peer, envelope, channel_id=None, slots=100):
        self.peer, self.envelope, self.id, self.slots = peer, envelope, channel_id, slots
        self.ready = threading.Condition(peer.lock)
        self.inbox = collections.deque()
        self.credit = 1  # events we may still send
        self.reserved = 1  # events the peer may still send, less those the reader has taken
        self.granted, self.received = 1, 0
        self.taken_once = self.beating = self.closed = False
        self.last_beat = self.failure = None
        self.controls, self.control_at = 0, 0.0
        if peer.heartbeat and not peer.passive:
            peer.start_beating(self)

    def emit(self, name, args, headers=None):
        """Sends one event; everything but a control event waits for credit and uses it."""
        with self.peer.lock:
            header = {'message_id': self.peer.new_id(), 'v': 3, **(headers or {})}
            if self.id is not None:
                header['response_to'] = self.id
            payload = msgpack.packb([header, name, args], use_bin_type=True)  # before any credit is used
            if name not in CONTROL:
                while self.credit <= 0 and not self.failure:
                    self.ready.wait()
                if self.failure:
                    raise self.failure
                self.credit -= 1
                self.controls = 0
            if self.id is None:
                self.id = header['message_id']
                self.peer.channels[key(self.id)] = self
            self.peer.send([*self.envelope, b'', payload])

    def recv(self, timeout=None):
        """The next event. Credit is granted from the second time on, when less than half of it is left."""
        with self.peer.lock:
            if self.taken_once and self.reserved < self.slots // 2:
                more = self.slots - self.reserved
                self.reserved += more
                self.granted += more
                self.emit('_zpc_more', [more])
            self.taken_once = True
            self.ready.wait_for(lambda: self.inbox or self.failure, timeout)
            if self.inbox:
                self.reserved -= 1
                return self.inbox.popleft()
            raise self.failure or TimeoutExpired('timeout after %gs' % timeout)

    def feed(self, header, name, args):
        """Takes one event of the peer, on the I/O thread."""
        if name in CONTROL:
            now = time.monotonic()
            # Only a burst counts: no event of ours between them, and no heartbeat's distance.
            self.controls = self.controls + 1 if now - self.control_at < 0.1 else 1
            self.control_at = now
            if self.controls == BURST + 1:
                self.peer.violation('control burst', 'more than %d control events back to back' % BURST)
            if name == '_zpc_hb':
                self.last_beat = now
                if self.peer.heartbeat and not self.beating:
                    self.peer.start_beating(self)
            elif isinstance(args, list) and len(args) == 1 and type(args[0]) is int and args[0] > 0:
                self.credit += args[0]
            else:
                self.peer.violation('credit grant', '_zpc_more with %r' % (args,))
        else:
            self.received += 1
            if self.received > self.granted:
                self.peer.violation('credit exceeded', '%r is event %d of %d' % (name, self.received, self.granted))
            if len(self.inbox) >= self.slots:
                self.fail(RuntimeError('BufferedChannel, queue overflow on event: %s' % name))
            else:
                self.inbox.append((header, name, args))
        self.ready.notify_all()

    def tick(self):
        """The heartbeat loop's body: a silent peer's grace starts at the first tick, not at the start."""
        if self.closed or self.failure:
            return
        freq, now = self.peer.heartbeat, time.monotonic()
        if self.last_beat is None:
            self.last_beat = now
        if now > self.last_beat + 2 * freq:
            self.peer.counts['lost'] += 1
            self.fail(LostRemote('Lost remote after %gs heartbeat' % (2 * freq)))
        else:
            self.emit('_zpc_hb', [0])
            self.peer.at(now + freq, self)

    def fail(self, failure):
        self.failure = failure
        self.ready.notify_all()


class Peer:
    """A ROUTER that serves or a DEALER that calls, with its channels. One thread owns the socket and the beats."""

    def __init__(self, endpoint, serve=None, heartbeat=5.0, passive=False, ids='bin', tell=None, curve=None):
        self.service, self.heartbeat, self.passive, self.ids, self.tell = serve, heartbeat, passive, ids, tell
        self.lock = threading.RLock()
        self.channels, self.closed, self.seen = {}, {}, set()
        self.outbox, self.timers, self.sequence = collections.deque(), [], itertools.count()
        self.violations, self.counts, self.header_keys = [], collections.Counter(), set()
        # zerorpc-python: a counter in the first 8 of the 32 hex digits of a uuid4 that stays the same
        self.id_base = uuid.uuid4().hex
        self.id_counter = itertools.count(int(self.id_base[:8], 16))
        self.socket = zmq.Context.instance().socket(zmq.ROUTER if serve else zmq.DEALER)
        self.socket.linger = 1000
        # zerorpc-python leaves this at 1000, and its ROUTER drops without a word what is above: a dozen streams at
        # once can lose items under load. That is its own loss and would be blamed on the peer here.
        self.socket.sndhwm = 0
        self.authenticator = None
        if curve:
            self.encrypt(**curve)
        if serve:
            self.socket.bind(endpoint)
        else:
            self.socket.connect(endpoint)
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.wake_read, self.wake_write = os.pipe()
        self.awake = False
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def encrypt(self, publicKey, secretKey, serverKey=None, allow=None):
        """CURVE by pyzmq's own means, its authenticator included where there is a list of callers."""
        self.socket.curve_publickey, self.socket.curve_secretkey = publicKey.encode(), secretKey.encode()
        if serverKey:
            self.socket.curve_serverkey = serverKey.encode()
            return
        self.socket.curve_server = True
        if allow is None:
            return
        from zmq.auth.thread import ThreadAuthenticator

        class Callers:
            def callback(self, domain, public_key):
                return public_key.decode() in allow

        self.authenticator = ThreadAuthenticator(zmq.Context.instance())
        self.authenticator.start()
        self.authenticator.configure_curve_callback(domain='*', credentials_provider=Callers())

    def new_id(self):
        count = next(self.id_counter) & 0xffffffff
        text = '%08x%s' % (count, self.id_base[8:])
        return {'bin': text.encode(), 'str': text, 'int': count}[self.ids]

    def send(self, frames):
        self.outbox.append(frames)
        self.wake()

    def wake(self):
        if not self.awake:  # one byte is enough, and the pipe can never fill up
            self.awake = True
            os.write(self.wake_write, b'.')

    def at(self, when, channel):
        heapq.heappush(self.timers, (when, next(self.sequence), channel))
        self.wake()

    def start_beating(self, channel):
        with self.lock:
            channel.beating = True
            self.at(time.monotonic() + self.heartbeat, channel)

    def violation(self, what, seen):
        found = {'violation': what, 'seen': seen}
        self.violations.append(found)
        if self.tell:
            self.tell(found)

    def run(self):
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.wake_read, zmq.POLLIN)
        while True:
            with self.lock:
                wait = self.timers[0][0] - time.monotonic() if self.timers else 1.0
            ready = dict(poller.poll(max(0, int(wait * 1000) + 1)))
            with self.lock:
                if self.wake_read in ready:
                    os.read(self.wake_read, 1)
                    self.awake = False
                if self.socket in ready:
                    self.receive()
                while self.timers and self.timers[0][0] <= time.monotonic():
                    heapq.heappop(self.timers)[2].tick()
                while self.outbox:
                    self.socket.send_multipart(self.outbox.popleft())
                if self.stopping:
                    self.socket.close()
                    return

    def receive(self):
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            # As zerorpc-python: the last frame is the event, the last but one is taken for the delimiter unread.
            if len(frames) < (3 if self.service else 2) or frames[-2] != b'':
                self.violation('delimiter', 'no empty frame before the event, %d frames' % len(frames))
            envelope = frames[:-2] if len(frames) > 2 else frames[:1]
            try:
                try:
                    event = msgpack.unpackb(frames[-1], raw=False, strict_map_key=True)
                except msgpack.ExtraData as extra:
                    self.violation('trailing bytes', '%d bytes after the event' % len(extra.extra))
                    event = extra.unpacked
                header, name, args = event
                message_id = header['message_id']
                hash((message_id, header.get('response_to')))  # ids are looked up: a list or a map is no id
            except Exception as error:
                self.violation('malformed', '%s: %s in %s' % (type(error).__name__, error, frames[-1][:200].hex()))
                continue
            self.check_header(envelope, header, name)
            self.route(envelope, header, message_id, name, args)

    def check_header(self, envelope, header, name):
        self.header_keys.update(header)
        if header.get('v') != 3:
            self.violation('version', 'v is %r in %r' % (header.get('v'), name))
        if not isinstance(name, str):
            self.violation('name', 'the name is %r' % (name,))
        seen = (envelope[0] if self.service else b'', key(header['message_id']))
        if seen in self.seen:
            self.violation('message_id reused', repr(header['message_id']))
        self.seen.add(seen)

    def route(self, envelope, header, message_id, name, args):
        to = header.get('response_to')
        channel = self.channels.get(key(to)) if to is not None else None
        if channel:
            channel.feed(header, name, args)
            if not self.service and name in TERMINAL:
                self.check_answer(name, args)
                self.close(channel, 'terminal received')
        elif to is not None:
            self.unroutable(to, name)
        elif not self.service:
            self.violation('request to a client', repr(name))
        elif key(message_id) in self.channels:
            self.violation('duplicate channel', repr(message_id))
        else:
            # A control event opens a channel too: the request is then the first other event routed to it.
            channel = self.channels[key(message_id)] = Channel(self, envelope, message_id)
            channel.feed(header, name, args)
            threading.Thread(target=self.answer, args=(channel,), daemon=True).start()

    def check_answer(self, name, args):
        sound = {
            'OK': isinstance(args, list) and len(args) == 1,
            'ERR': isinstance(args, list) and len(args) == 3 and all(isinstance(a, str) for a in args),
            'STREAM_DONE': args is None or args == [],
        }
        if not sound[name]:
            self.violation('answer', '%s with %r' % (name, args))

    def unroutable(self, to, name):
        """An event for no open channel: dropped; normal only where it can have crossed the channel's end."""
        other = {bytes: lambda: to.decode('latin1'), str: lambda: to.encode()}.get(type(to), lambda: None)()
        if key(other) in self.channels or key(other) in self.closed:
            self.violation('id type', 'response_to came back as %s' % type(to).__name__)
            return
        how, when, late = self.closed.get(key(to), (None, 0, 0))
        self.counts['late'] += 1
        if how == 'terminal received' or (how == 'terminal sent' and name not in CONTROL):
            self.violation('after the end', '%r after the terminal event' % (name,))
        elif how == 'terminal sent':
            self.closed[key(to)] = (how, when, late + 1)
            if late >= 2 or time.monotonic() - when > CROSSING:
                self.violation('after the end', '%r long after our terminal event' % (name,))
        elif how is None:
            self.violation('unknown channel', 'response_to is %r in %r' % (to, name))

    def close(self, channel, how):
        with self.lock:
            channel.closed = True
            if self.channels.get(key(channel.id)) is channel:
                del self.channels[key(channel.id)]
                self.closed[key(channel.id)] = (how, time.monotonic(), 0)

    def answer(self, channel):
        """The life of one request, on a thread of its own."""
        how, result, header = 'lost', None, {}
        running.channel, running.peer = channel, self
        try:
            header, name, args = channel.recv()
            self.counts['calls'] += 1
            if not isinstance(args, list):
                self.violation('request', 'args are %r' % (args,))
            if name not in self.service:
                raise NameError(name)
            result = self.service[name](*args)
            if inspect.isgenerator(result):
                for item in result:
                    channel.emit('STREAM', item)
                channel.emit('STREAM_DONE', None)
            else:
                channel.emit('OK', [result])
            how = 'terminal sent'
        except LostRemote:
            self.counts['cut'] += 1  # the method is cut short and nothing is answered
        except Exception as error:
            triple = [type(error).__name__, str(error), traceback.format_exc()]
            try:
                channel.emit('ERR', triple if header.get('v', 1) >= 2 else [repr(error)])
                how = 'terminal sent'
            except LostRemote:
                self.counts['cut'] += 1
        finally:
            if inspect.isgenerator(result):
                result.close()
            self.close(channel, how)

    def stop(self):
        with self.lock:
            self.stopping = True
            self.wake()
        self.thread.join()
        if self.authenticator:
            self.authenticator.stop()


def key(channel_id):
    """Ids are compared with their type: b'x' and 'x' are two ids."""
    return (type(channel_id).__name__, channel_id)
