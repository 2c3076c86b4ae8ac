// Loaded before kinesalite, which throws what a request emits whose client dies between its header and its body:
// a server outlives its clients.
'use strict';

process.on('uncaughtException', (error) => {
  if (error.code !== 'ECONNRESET') throw error;
});
