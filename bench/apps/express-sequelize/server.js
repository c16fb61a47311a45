// What the reference API is compared with: `GET /api/users/{id}` as a team writes it with Express and Sequelize, over the
// same table in the same database, with everything off that costs time and that the other side does not do.
'use strict';

const express = require('express');
const { DataTypes, Sequelize } = require('sequelize');

const connections = Number(process.env.POOL_CONNECTIONS);
const sequelize = new Sequelize(process.env.DATABASE_URL, {
  logging: false,
  pool: { min: connections, max: connections, acquire: 5000, idle: 60000 },
});

// The columns that the other side reads.
const Account = sequelize.define(
  'Account',
  {
    id: { type: DataTypes.BIGINT, primaryKey: true },
    email: DataTypes.TEXT,
    name: DataTypes.TEXT,
    role: DataTypes.TEXT,
    password_hash: DataTypes.TEXT,
  },
  { tableName: 'accounts', timestamps: false },
);

// Rows as they come, instead of instances of the model: faster, and not what most write.
const options = { raw: process.env.SEQUELIZE_RAW === 'true' };

const app = express();
app.disable('x-powered-by');
app.disable('etag');

app.get('/health', (request, response) => response.json({ status: 'ok' }));

app.get('/api/users/:id', async (request, response) => {
  const id = /^[1-9][0-9]{0,18}$/.test(request.params.id) ? request.params.id : null;
  const account = id && (await Account.findByPk(id, options));
  response.set('Cache-Control', 'no-store');
  if (!account) {
    response.status(404).json({ error: 'Not found' });
    return;
  }
  response.json({ id: account.id, name: account.name });
});

app.listen(Number(process.env.PORT), '127.0.0.1');
