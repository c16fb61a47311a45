// What the reference API is compared with: `GET /api/users/{id}` and `GET /api/profile` as a team writes them with Express,
// jsonwebtoken and Sequelize, over the same table in the same database, with everything off that costs time and that the other
// side does not do.
'use strict';

const { createPublicKey, createSecretKey } = require('node:crypto');

const express = require('express');
const jwt = require('jsonwebtoken');
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

// Made once: a key that is parsed for each token costs more than its signature.
const { JWT_ALGORITHM: algorithm, JWT_PUBLIC_JWK: publicKey, JWT_SECRET: secret } = process.env;
const key = publicKey ? createPublicKey({ key: JSON.parse(publicKey), format: 'jwk' }) : createSecretKey(Buffer.from(secret ?? ''));
const terms = { algorithms: [algorithm], audience: 'api', issuer: 'phalanx' };

const authenticate = (request, response, next) => {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  if (scheme !== 'Bearer' || !token) {
    response.status(401).json({ error: 'No token provided' });
    return;
  }
  jwt.verify(token, key, terms, (error, claims) => {
    if (error) {
      const expired = error instanceof jwt.TokenExpiredError;
      response.status(401).json({ error: expired ? 'Token expired' : 'Invalid token' });
      return;
    }
    request.claims = claims;
    next();
  });
};

app.get('/api/profile', authenticate, async (request, response) => {
  const account = await Account.findByPk(request.claims.sub, options);
  response.set('Cache-Control', 'no-store');
  if (!account) {
    response.status(401).json({ error: 'Invalid token' });
    return;
  }
  const { id, email, name, role } = account;
  response.json({ id, email, name, role });
});

app.listen(Number(process.env.PORT), '127.0.0.1');
