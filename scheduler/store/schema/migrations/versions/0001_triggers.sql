-- Backstops that no CHECK can express. They must never fire; if one does, the code above it is wrong.

CREATE FUNCTION ganger_guard_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.attempt < OLD.attempt OR NEW.num_exes < OLD.num_exes OR NEW.forgiven < OLD.forgiven OR NEW.round < OLD.round THEN
        RAISE EXCEPTION 'job %: attempt, num_exes, forgiven and round never fall', OLD.id;
    END IF;
    IF NEW.status IS DISTINCT FROM OLD.status
       AND OLD.status IN ('COMPLETED', 'FAILED', 'CANCELED')
       AND NOT (OLD.status = 'FAILED' AND NEW.status = 'CANCELED')
       AND NOT (OLD.status IN ('FAILED', 'CANCELED') AND NEW.status = 'QUEUED' AND NEW.round = OLD.round + 1) THEN
        RAISE EXCEPTION 'job %: % is final, it cannot become %', OLD.id, OLD.status, NEW.status;
    END IF;
    IF OLD.status = 'COMPLETED' AND NEW.result_attempt IS DISTINCT FROM OLD.result_attempt THEN
        RAISE EXCEPTION 'job %: a completed job keeps its result', OLD.id;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_job BEFORE UPDATE OF status, attempt, num_exes, forgiven, round, result_attempt ON jobs
    FOR EACH ROW EXECUTE FUNCTION ganger_guard_job();

CREATE FUNCTION ganger_guard_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.released_at IS NOT NULL AND (NEW.released_at IS DISTINCT FROM OLD.released_at OR NEW.status <> OLD.status) THEN
        RAISE EXCEPTION 'execution %: it has ended as %', OLD.id, OLD.status;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_execution BEFORE UPDATE OF status, released_at ON executions
    FOR EACH ROW EXECUTE FUNCTION ganger_guard_execution();

CREATE FUNCTION ganger_guard_node() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.epoch < OLD.epoch THEN
        RAISE EXCEPTION 'node %: an epoch never falls', OLD.id;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_node BEFORE UPDATE OF epoch ON nodes
    FOR EACH ROW EXECUTE FUNCTION ganger_guard_node();

-- Rows that the scheduler keeps a picture of say which transaction touched them last.
CREATE FUNCTION ganger_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.moved_xid = pg_current_xact_id();
    RETURN NEW;
END
$$;

CREATE TRIGGER stamp_project BEFORE UPDATE ON projects FOR EACH ROW EXECUTE FUNCTION ganger_stamp();
CREATE TRIGGER stamp_job_type BEFORE UPDATE ON job_types FOR EACH ROW EXECUTE FUNCTION ganger_stamp();
CREATE TRIGGER stamp_pool BEFORE UPDATE ON pools FOR EACH ROW EXECUTE FUNCTION ganger_stamp();
CREATE TRIGGER stamp_node BEFORE UPDATE ON nodes FOR EACH ROW EXECUTE FUNCTION ganger_stamp();

INSERT INTO leader (name) VALUES ('scheduler');
INSERT INTO projects (name, title) VALUES ('default', 'Default');
INSERT INTO pools (name) VALUES ('default');
