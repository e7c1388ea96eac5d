-- The tables of one shop. Every tenant of the demonstration has them, in a database of its own.
CREATE TABLE IF NOT EXISTS customer(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  city TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS product(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  price_cents INTEGER NOT NULL CHECK (price_cents > 0)
) STRICT;
CREATE TABLE IF NOT EXISTS orders(
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customer(id),
  product_id INTEGER NOT NULL REFERENCES product(id),
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  ordered_on TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_customer ON orders(customer_id, ordered_on);
CREATE VIEW IF NOT EXISTS revenue AS
  SELECT c.name AS customer, c.city, count(*) AS orders, sum(o.quantity * p.price_cents) / 100.0 AS total
  FROM orders o JOIN customer c ON c.id = o.customer_id JOIN product p ON p.id = o.product_id
  GROUP BY c.id ORDER BY total DESC;
