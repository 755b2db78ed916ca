create function pg_temp.provision(role text, password text) returns void language plpgsql as $$
begin
    if not exists (select from pg_roles where rolname = role) then
        execute format('create role %I', role);
    end if;
    -- Always set: a password file may have been lost and made anew.
    execute format('alter role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password %L', role, password);
    execute format('grant connect on database pesan to %I', role);
    if not exists (select from pg_namespace where nspname = role) then
        execute format('create schema %I', role);
    end if;
    execute format('alter schema %I owner to %I', role, role);
    execute format('revoke all on schema %I from public', role);
    execute format('alter role %I in database pesan set search_path = %I', role, role);
end
$$
