"""The processes of one home: one lock, started in order, watched, ended together with everything they started.

lock        who may run the graph on a home
processes   marks that follow a process's children, and ending all that carry one
warden      ends what is left when the supervisor itself is killed
service     one supervised process: start, answer, restart, log, end
stack       which processes there are, on which ports
prepare     what has to be true before they start; runs as a child of its own
"""
