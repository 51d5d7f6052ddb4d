"""LocalStack's web server, listening where GATEWAY_LISTEN says, and for TLS where REMEDIATION_TLS_LISTEN says.

LocalStack's own takes the port and leaves out the host, so it listens on every interface of the machine: whoever
reaches the machine could run code on it, as a Lambda function. And where the port is taken, it goes on without one.
"""

from localstack.runtime.server.core import RuntimeServerPlugin
from localstack.runtime.server.twisted import TwistedRuntimeServer
from rolo.gateway.wsgi import WsgiGateway
from rolo.serving.twisted import HeaderPreservingWSGIResource, HeaderPreservingWSGIResponse, TwistedGateway
from twisted.internet import reactor, ssl
from twisted.internet.threads import blockingCallFromThread
from twisted.web.server import NOT_DONE_YET

from . import routes, tls

ABORT = "remediation.abort"  # in a request's WSGI environment: resets the connection
HANG_UP = "remediation.hang_up"  # and this closes it, once what was written before is sent
CALLERS_PORT = "remediation.port"  # of the other end of the connection


class _Resource(HeaderPreservingWSGIResource):
    """Lets a handler break the connection that its request came over."""

    def render(self, request):
        response = HeaderPreservingWSGIResponse(self._reactor, self._threadpool, self._application, request)
        channel = request.channel
        response.environ[ABORT] = lambda: blockingCallFromThread(reactor, channel.transport.abortConnection)
        # by the channel, because the transport of TLS waits for it before it closes
        response.environ[HANG_UP] = lambda: blockingCallFromThread(reactor, channel.loseConnection)
        response.environ[CALLERS_PORT] = getattr(request.getClientAddress(), "port", None)
        response.start()
        return NOT_DONE_YET


def _site(gateway) -> TwistedGateway:
    site = TwistedGateway(gateway)
    websockets = site.resource.original  # the WSGI resource lies below what takes WebSockets out
    websockets.original = _Resource(reactor, reactor.getThreadPool(), WsgiGateway(gateway))
    return site


class ListenerOfOneHost(TwistedRuntimeServer):
    def register(self, gateway, listen, ssl_creds=None) -> None:
        routes.enter_all(gateway)
        site = _site(gateway)
        for address in listen:
            reactor.listenTCP(address.port, site, interface=address.host)
        if tls.LISTENER:
            key, certificate = tls.make_certificate(tls.LISTENER)
            context = ssl.CertificateOptions(privateKey=key, certificate=certificate)
            reactor.listenSSL(tls.LISTENER.port, site, context, interface=tls.LISTENER.host)


class ListenerPlugin(RuntimeServerPlugin):
    name = "remediation"

    def load(self, *_args, **_kwargs) -> ListenerOfOneHost:
        return ListenerOfOneHost()
