"""The server processes: the web application, HTTPS, ports, and what `soundstage up` starts and watches."""
