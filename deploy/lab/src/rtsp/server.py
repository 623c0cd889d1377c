"""An RTSP server on the port given: /test is a picture fifty times a second, and a tone in as many pieces."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    "( videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=50/1 ! jpegenc ! rtpjpegpay name=pay0"
    " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 max-ptime=20000000 )"
)
server = GstRtspServer.RTSPServer()
server.set_address("0.0.0.0")
server.set_service(sys.argv[1])
server.get_mount_points().add_factory("/test", factory)
if not server.attach(None):
    sys.exit("the port is taken")
print("ready", flush=True)
GLib.MainLoop().run()
