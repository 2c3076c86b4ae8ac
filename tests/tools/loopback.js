// Loaded before a server that has no option for its host: whatever it listens on, it listens on the loopback interface.
'use strict';
const net = require('net');
const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...args) {
  const options = typeof args[0] === 'object' ? args[0] : { port: Number(args[0]) };
  const callback = args.find((arg) => typeof arg === 'function');
  return listen.call(this, { ...options, host: '127.0.0.1' }, callback);
};
