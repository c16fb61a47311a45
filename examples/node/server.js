// Orders, as a team writes them with Express. To be run by Phalanx a program has to do three things, marked 1 to 3 here; nothing in
// it knows of Phalanx.
'use strict';

const express = require('express');

// 1. It listens on 127.0.0.1 and the port in `PORT`. The name in `PHALANX_INSTANCE` is there for logs.
const port = Number(process.env.PORT || 3000);
const instance = process.env.PHALANX_INSTANCE || 'orders';
const currency = process.env.CURRENCY || 'EUR';

let isDraining = false;
const orders = new Map([[1, { id: 1, item: 'anvil', count: 2, price: 80, currency }]]);

const app = express();
app.disable('x-powered-by');
app.use(express.json());
app.use((request, response, next) => {
  // Who keeps a connection learns with the last answer that it ends.
  if (isDraining) response.set('Connection', 'close');
  next();
});

// 2. It tells whether it may be sent requests.
app.get('/ready', (request, response) => response.status(isDraining ? 503 : 200).json({ ready: !isDraining }));

app.get('/', (request, response) => response.json({ instance, language: 'JavaScript' }));

// What a process remembers dies with it and is known to no other replica: a real service keeps it in a database.
app.get('/orders/:id', (request, response) => {
  const order = orders.get(Number(request.params.id));
  return order ? response.json(order) : response.status(404).json({ error: 'No such order' });
});

app.post('/orders', (request, response) => {
  const { item, count } = request.body ?? {};
  if (typeof item !== 'string' || !Number.isSafeInteger(count) || count < 1) {
    return response.status(400).json({ error: 'An order has an item and a count' });
  }
  return response.status(201).json({ item, count, takenBy: instance });
});

const server = app.listen(port, '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`listening on ${port}`);
});
// Longer than a gateway keeps a connection that is idle, so that the gateway ends it and never sends into one that is closing.
server.keepAliveTimeout = 75_000;

// 3. On TERM it finishes what it has begun, and ends. By then the gateway sends it nothing more.
process.once('SIGTERM', () => {
  isDraining = true;
  console.log('draining');
  server.close(() => process.exit(0));
});
